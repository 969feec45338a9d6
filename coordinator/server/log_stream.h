// One who reads a log: pulls pieces from the agents that hold it, no faster than they are taken.
#ifndef TANREN_COORDINATOR_SERVER_LOG_STREAM_H_
#define TANREN_COORDINATOR_SERVER_LOG_STREAM_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/server/coordinator_parts.h"
#include "coordinator/server/log_sources.h"
#include "coordinator/server/stream.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

using LogReactor = grpc::ServerWriteReactor<LogReply>;

// At most one piece of each rank is asked for or waits to be written, and all ranks' pieces
// together are about 256 KiB. Where an agent is away, a follower waits for it and goes on at the
// byte where it was. One who follows "the last attempt" is taken on to the next.
class LogStream final : public Stream<LogReactor, LogReply> {
 public:
  LogStream(grpc::CallbackServerContext* context, const CoordinatorParts& parts,
            const LogRequest& request)
      : Stream(context, &parts.streams), parts_(parts), request_(request) {}

  void Begin();
  void Pump() override;
  // Asks again where an answer is overdue or an agent was away.
  void Look() override;

 private:
  using Clock = std::chrono::steady_clock;

  struct Source {
    LogSource log;
    uint64_t offset = 0;     // of the next byte
    int64_t tail_bytes = 0;  // until the first piece has come
    int64_t since_ms = 0;    // likewise
    uint64_t asked = 0;      // a number for each question; answers to others are late
    bool waits = false;      // for an answer
    bool full = false;       // its piece isn't written yet
    bool ended = false;
    bool told = false;        // that its node is away
    Clock::time_point since;  // of the question
    Clock::time_point retry;  // no question before
  };

  bool Next(LogReply& message) override;
  void FindAttempt();
  void OnFound(const absl::StatusOr<LogPlace>& place);
  // With mutex_ held.
  void BeginAttempt(const LoggedAttempt& attempt);
  void Note(int32_t rank, std::string text);
  bool AllEnded() const;
  void EndOrFindNext();

  void AskAll();
  ReadLogChunk QuestionOf(const Source& source) const;
  void Ask(size_t index, uint64_t asked, const std::string& node, ReadLogChunk question);
  void OnChunk(uint32_t attempt, size_t index, uint64_t asked, absl::StatusOr<LogChunk> chunk);
  // With mutex_ held.
  void TakeChunk(Source& source, LogChunk chunk);
  void OnAway(Source& source);

  std::shared_ptr<LogStream> Self() {
    return std::static_pointer_cast<LogStream>(this->shared_from_this());
  }

  const CoordinatorParts parts_;
  const LogRequest request_;

  // Guarded by mutex_.
  LoggedAttempt attempt_;
  std::vector<Source> sources_;
  std::deque<LogReply> replies_;
  uint32_t wanted_attempt_ = 0;
  bool finding_ = false;    // the loop is asked where the log is
  bool searching_ = false;  // there is no attempt yet, or no next one
  bool told_waiting_ = false;
  bool job_ended_ = false;
  Clock::time_point next_search_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_LOG_STREAM_H_
