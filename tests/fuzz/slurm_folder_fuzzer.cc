// The files by which an agent and its batch job know of each other, on a shared disk. The first
// byte says which of them the input is.
#include <filesystem>
#include <string>

#include "coordinator/launch/slurm/slurm_end.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/state/cluster.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_protobuf.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFiles[] = {"exit",    "ranks/trainer.0.exit", "claim", "alive", "stop",
                                  "task.pb", "../slurm-fence"};

AttemptToken Token() {
  AttemptToken token;
  token.set_epoch(3);
  token.set_job(17);
  token.set_attempt(2);
  return token;
}

void DemandSound(const AttemptEnd& end) {
  AttemptEnd again;
  fuzz::Demand(again.ParseFromString(end.SerializeAsString()), "an end can be read again");
}

void ReadAll(const SlurmFolder& folder) {
  SlurmJobFound found;
  found.state = "FAILED";
  if (const auto exit = folder.ReadExit(); exit.ok()) found.exit = *exit;
  DemandSound(EndOfSlurmJob(found));
  SlurmRunFound run;
  run.exit_code = 1;
  run.ranks = folder.RankExits();
  DemandSound(EndOfSlurmRun(run));
  if (const auto stop = folder.ReadStop(); stop.ok() && stop->has_value()) {
    found.exit.reset();
    found.stop = (*stop)->reason();
    DemandSound(EndOfSlurmJob(found));
  }
  (void)folder.ReadClaim();
  (void)folder.ReadBeat();
  (void)folder.ReadTask();
  (void)folder.RanksStarted();
  const auto fence = folder.RaiseFence(Token());
  fuzz::Demand(!fence.ok() || !(*fence < Token()), "a fence is never lowered");
}

}  // namespace
}  // namespace tanren::coordinator

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  using namespace tanren::coordinator;
  if (size == 0) return 0;
  static const fuzz::InputFolder job;
  static const SlurmFolder folder(job.path() / SlurmFolderName(Token()));
  fs::remove_all(folder.path());
  fs::remove(job.path() / "slurm-fence");
  fs::create_directories(folder.path() / "ranks");
  const std::string name = kFiles[data[0] % std::size(kFiles)];
  job.Write(folder.path().filename().string() + "/" + name, fuzz::Text(data + 1, size - 1));
  ReadAll(folder);
  return 0;
}
