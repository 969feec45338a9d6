// One who follows a rank's log, as far as the coordinator's process goes: what
// coordinator/server/log_stream.h does for a rank, without threads.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_LOG_SESSION_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_LOG_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "coordinator/server/log_sources.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

struct LogPiece {
  AttemptToken token;
  LogChunk chunk;
};

class LogSession : public std::enable_shared_from_this<LogSession> {
 public:
  // `take` gets a piece; no other follows before Taken(). `end`: OK, or why nothing follows.
  LogSession(World& world, Coordinator& coordinator, LogRequest request,
             std::function<void(const LogPiece&)> take,
             std::function<void(const absl::Status&)> end);

  void Look();
  void Taken();
  // The process dies, or the reader has gone: nothing is called any more.
  void Close() { closed_ = true; }
  bool is_closed() const { return closed_; }
  // Tells the reader, if it doesn't know, that the stream has broken.
  void Break();

 private:
  void Find();
  void Ask();
  void OnChunk(uint64_t asked, absl::StatusOr<LogChunk> chunk);
  void End(const absl::Status& status);

  World& world_;
  Coordinator& coordinator_;
  const LogRequest request_;
  const std::function<void(const LogPiece&)> take_;
  const std::function<void(const absl::Status&)> end_;
  LoggedAttempt attempt_;
  bool found_ = false;
  bool closed_ = false;
  uint64_t offset_ = 0;
  uint64_t asked_ = 0;
  bool waits_ = false;  // for an answer
  bool full_ = false;   // its piece isn't taken yet
  int64_t since_us_ = 0;
  int64_t retry_us_ = 0;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_LOG_SESSION_H_
