// The coordinator's process: the real core and a store in memory, in a loop that takes what came,
// makes it durable in one commit, and only then answers. It can die between any two of these.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_COORDINATOR_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_COORDINATOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/state/core.h"
#include "tests/coordinator/simulation/dice.h"
#include "tests/coordinator/simulation/disk.h"
#include "tests/coordinator/simulation/log_session.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

class Coordinator {
 public:
  using Answered = std::function<void(const absl::Status&, const std::vector<uint64_t>&)>;
  // Where it dies, seen from the commit under way.
  enum class CrashPoint { kBeforeWrite, kAfterWrite, kAmidAnswers };

  // On the same disk as `other`, or on one of its own that holds `image`.
  Coordinator(World& world, const Coordinator& other);
  Coordinator(World& world, MemoryImage image);

  // ---- faults
  void Start();  // nothing if it runs, or if another holds the disk
  // A write under way lands or doesn't. `silently`: its peers must find out by themselves.
  void Crash(bool write_lands, bool silently);
  void CrashAtEvent(HistoryEvent::KindCase kind, CrashPoint point, int64_t away_us);
  void FailNextWrite(StoreFault fault, int64_t away_us);
  void SlowDisk(bool slow) { slow_disk_ = slow; }
  void JumpWall(int64_t by_ms) { wall_offset_ms_ += by_ms; }
  void Backup();
  // Its history is the one that counts from now on: what isn't in it is lost.
  void RollBack();
  // Dies; the store becomes what the last backup holds.
  void RestoreBackup();
  // What another would begin with that took over from it now: a backup of the past, or a copy of
  // the files as they are.
  std::optional<MemoryImage> ImageToTakeOver(bool of_the_past);
  // Stands still; what comes meanwhile waits.
  void Pause(int64_t for_us) { paused_until_us_ = world_.now_us() + for_us; }
  // Faults that wait for their moment are off.
  void Disarm();

  // ---- the network's end
  void Join(uint64_t stream, int node, const Node& description);
  void Report(uint64_t stream, int node, const NodeReport& report);
  void StreamEnded(uint64_t stream, int node);
  // Never answered if the process dies.
  void Call(Input input, Answered answered);
  // Null if it doesn't run. The session lives as long as the process, at most.
  std::shared_ptr<LogSession> OpenLog(const LogRequest& request,
                                      std::function<void(const LogPiece&)> take,
                                      std::function<void(const absl::Status&)> end);
  // As AgentHub: kUnavailable once the node's stream has ended.
  void AskLog(int node, ReadLogChunk question,
              std::function<void(absl::StatusOr<LogChunk>)> answered);
  void TakeChunk(uint64_t stream, const LogChunk& chunk);
  // Whether a remote start of the attempt passes here.
  bool Forwards(const AttemptToken& token, int node) const;

  bool runs() const { return core_ != nullptr; }
  // As of the last step, which may not be durable yet; null while it doesn't run.
  const Core* core() const { return core_.get(); }
  Now now() const;
  // The checks that look at everything.
  void CheckEverything();

 private:
  struct Waiting {
    Input input;
    Answered answered;
  };
  struct Sending {
    int node;
    uint64_t stream;
    Orders orders;
  };
  struct Batch {
    Commit commit;
    std::vector<std::function<void()>> answers;
    std::vector<Sending> orders;
  };

  struct Question {
    uint64_t stream;
    std::function<void(absl::StatusOr<LogChunk>)> answered;
  };

  void LookAtLogs();
  void FailQuestions(uint64_t stream);
  void Enqueue(Input input, Answered answered);
  void Wake(int64_t at_us);
  void Work();
  void StepInto(const Waiting& waiting, Batch& batch);
  void Finish();
  absl::Status Write(const Commit& commit);
  // Lets the checker see what has become durable.
  void Observe();
  void Send(Batch& batch, size_t parts);
  void CompareWithStore();
  void Refuse(uint64_t stream, int node);

  bool Counts() const { return world_.coordinator.get() == this; }

  World& world_;
  Dice dice_;
  SteadyClock clock_;
  int64_t wall_offset_ms_ = 1'700'000'000'000;
  const std::shared_ptr<Disk> disk_;
  bool slow_disk_ = false;
  uint32_t run_ = 0;  // counts starts and deaths

  // Of the process.
  std::unique_ptr<Core> core_;
  std::deque<Waiting> queue_;
  std::optional<Batch> writing_;
  std::map<int, uint64_t> streams_;       // node -> its stream
  std::map<int, uint64_t> core_streams_;  // as far as the core was told
  std::vector<std::shared_ptr<LogSession>> logs_;
  std::map<uint64_t, Question> questions_;  // of logs, that wait for an answer
  uint64_t last_question_ = 0;
  int64_t wake_at_us_ = -1;
  int64_t paused_until_us_ = 0;
  uint64_t since_compared_ = 0;

  // Armed faults.
  std::optional<HistoryEvent::KindCase> crash_at_;
  CrashPoint crash_point_ = CrashPoint::kBeforeWrite;
  int64_t crash_away_us_ = 0;
  int64_t fail_away_us_ = 0;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_COORDINATOR_H_
