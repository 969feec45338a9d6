// Questions for what ranks wrote, some of which wait until there is something to answer.
#ifndef TANREN_COORDINATOR_AGENT_LOG_REQUESTS_H_
#define TANREN_COORDINATOR_AGENT_LOG_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <vector>

#include "coordinator/launch/launcher.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Times are CLOCK_BOOTTIME, milliseconds.
class LogRequests {
 public:
  explicit LogRequests(Launcher& launcher) : launcher_(launcher) {}

  // Nothing came for so long: the answer is empty.
  static constexpr int64_t kLongestWaitMs = 5'000;
  // How often what waits looks again.
  static constexpr int64_t kLookEveryMs = 100;
  // Further ones that want to wait are answered at once.
  static constexpr size_t kMostWaiting = 1'000;

  // The answer, or none yet.
  std::vector<LogChunk> Add(const ReadLogChunk& request, int64_t now_ms);
  // Answers to those that waited.
  std::vector<LogChunk> Look(int64_t now_ms);
  // When Look has something to do.
  int64_t NextCall() const;
  // Nobody waits any more.
  void Clear() { waiting_.clear(); }

 private:
  struct Waiting {
    ReadLogChunk request;
    int64_t until_ms;
  };
  // False: there is nothing to answer yet.
  bool Answer(const ReadLogChunk& request, bool may_wait, LogChunk& answer);

  Launcher& launcher_;
  std::list<Waiting> waiting_;
  int64_t next_look_ms_ = 0;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_LOG_REQUESTS_H_
