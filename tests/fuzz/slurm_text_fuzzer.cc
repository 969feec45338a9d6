// What Slurm's programs print and its variables say. The first byte says whose words they are.
#include <numeric>
#include <string>

#include "coordinator/launch/slurm/slurm_allocation.h"
#include "coordinator/launch/slurm/slurm_client.h"
#include "coordinator/launch/slurm/slurm_end.h"
#include "tests/fuzz/fuzz_input.h"

namespace tanren::coordinator {
namespace {

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

void ReadQueue(std::string_view text) {
  const auto jobs = ParseSqueue({text.data(), text.size()});
  if (!jobs.ok()) return;
  for (const SlurmJob& job : *jobs) {
    fuzz::Demand(IsNumber(job.id), "a job's id may be given to scancel");
    fuzz::Demand(!IsFinalSlurmState(job.state) || !IsRunningSlurmState(job.state),
                 "what has ended doesn't run");
    SlurmJobFound found;
    found.state = job.state;
    found.reason = job.reason;
    AttemptEnd again;
    fuzz::Demand(again.ParseFromString(EndOfSlurmJob(found).SerializeAsString()),
                 "an end can be read again");
  }
}

void ReadAllocation(std::string_view text) {
  const size_t middle = text.find('\n');
  if (middle == std::string_view::npos) return;
  const std::string_view nodes = text.substr(0, middle);
  const std::string_view tasks = text.substr(middle + 1);
  const auto allocation =
      ParseAllocation({nodes.data(), nodes.size()}, {tasks.data(), tasks.size()});
  if (!allocation.ok()) return;
  const int64_t all = std::accumulate(
      allocation->begin(), allocation->end(), int64_t{0},
      [](int64_t sum, const NodeTasks& node) { return sum + int64_t{node.second}; });
  fuzz::Demand(!HostsOf(*allocation, 0, 1).ok() == (all < 1), "there are as many tasks as it says");
}

}  // namespace
}  // namespace tanren::coordinator

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  using namespace tanren::coordinator;
  if (size == 0) return 0;
  const std::string_view text = fuzz::Text(data + 1, size - 1);
  const absl::string_view words(text.data(), text.size());
  switch (data[0]) {
    case 'b': {
      const auto id = ParseSbatch(words);
      fuzz::Demand(!id.ok() || IsNumber(*id), "a job's id may be given to scancel");
      break;
    }
    case 'q':
      ReadQueue(text);
      break;
    case 'a':
      (void)ParseSacct(words);
      break;
    case 'e':
      fuzz::Demand(!SubmissionError(words).ok(), "an error isn't taken for success");
      break;
    case 'n':
      ReadAllocation(text);
      break;
    default:
      break;
  }
  return 0;
}
