// What a machine's ranks wrote, one log for each part: every byte follows from its attempt and its
// offset, so that a reader can tell whether it is the right one.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_SPOOLS_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_SPOOLS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "coordinator/launch/launcher.h"
#include "tests/coordinator/simulation/dice.h"
#include "tests/coordinator/simulation/evidence.h"

namespace tanren::coordinator::simulation {

char LogByte(const AttemptToken& token, uint64_t offset);

// Only of a launcher's logs: nothing is started here.
class Spools final : public Launcher {
 public:
  explicit Spools(const EventQueue& queue) : queue_(queue) {}

  // The part begins to write so many bytes a second, or writes no more.
  void Open(const AttemptToken& token, int64_t bytes_per_second);
  void Close(const AttemptToken& token);
  // The machine went off: so much of the end of what isn't closed never got to its disk.
  void CutOpen(Dice& dice);
  void Clear() { spools_.clear(); }

  // Any rank's: a part's ranks share a log here.
  absl::StatusOr<LogChunk> ReadLog(const ReadLogChunk& request) override;

  void Start(const PartSpec&) override {}
  void Stop(const AttemptToken&, StopReason, int64_t) override {}
  void Forget(const AttemptToken&) override {}
  std::vector<PartReport> Parts() override { return {}; }
  void SetDeadline(int64_t) override {}
  absl::Status StartRemote(const RemoteStart&, std::function<void(const RemoteEnd&)>) override {
    return absl::UnimplementedError("logs only");
  }
  void OnChange(std::function<void()>) override {}

 private:
  struct Spool {
    uint64_t begin = 0;  // what came before is dropped
    uint64_t end = 0;
    int64_t rate = 0;
    int64_t written_us = 0;  // up to when `end` counts
    bool is_open = false;
  };
  void Write(Spool& spool) const;

  const EventQueue& queue_;
  std::map<TokenKey, Spool> spools_;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_SPOOLS_H_
