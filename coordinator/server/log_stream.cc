#include "coordinator/server/log_stream.h"

#include <algorithm>
#include <utility>

#include "coordinator/wire/channel.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

// Of all ranks together, and of one piece.
constexpr int32_t kPieces = 256 << 10;
constexpr int32_t kLongestPiece = 64 << 10;
constexpr int32_t kShortestPiece = 1 << 10;
// An agent answers a question that may wait within 5 s.
constexpr std::chrono::seconds kOverdue{15};
constexpr std::chrono::milliseconds kRetry{400};
// Empty answers that come sooner are not those of an agent that has waited.
constexpr std::chrono::seconds kWaited{1};

int32_t PieceFor(size_t ranks) {
  const auto share = static_cast<int32_t>(kPieces / std::max<size_t>(1, ranks));
  return std::clamp(share, kShortestPiece, kLongestPiece);
}

}  // namespace

void LogStream::Begin() {
  {
    const std::lock_guard lock(mutex_);
    wanted_attempt_ = request_.attempt();
  }
  FindAttempt();
}

void LogStream::FindAttempt() {
  uint32_t wanted = 0;
  {
    const std::lock_guard lock(mutex_);
    if (finding_ || end_.has_value()) return;
    finding_ = true;
    wanted = wanted_attempt_;
  }
  const absl::Status posted =
      parts_.loop.Read([self = Self(), wanted](const absl::Status& status, const View* view) {
        self->OnFound(status.ok() ? FindLog(view->core.cluster(), self->request_, wanted)
                                  : absl::StatusOr<LogPlace>(status));
      });
  if (!posted.ok()) OnFound(posted);
}

void LogStream::OnFound(const absl::StatusOr<LogPlace>& place) {
  if (!place.ok()) {
    // A queue that is full for the moment doesn't end a stream that was let in.
    if (!absl::IsResourceExhausted(place.status())) return End(ToGrpc(place.status()));
    const std::lock_guard lock(mutex_);
    finding_ = false;
    searching_ = true;
    next_search_ = Clock::now() + kRetry;
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    finding_ = false;
    searching_ = false;
    job_ended_ = place->job_ended;
    if (!place->attempt.empty()) {
      if (sources_.empty() || !(attempt_.token == place->attempt[0].token)) {
        BeginAttempt(place->attempt[0]);
      }
      attempt_.ended = place->attempt[0].ended;
    } else if (!request_.follow() || place->job_ended) {
      end_ = ToGrpc(absl::NotFoundError(
          fmt::format("job {} has {}: there is no log", request_.job(),
                      place->job_ended ? "ended without having started" : "not started yet")));
    } else {
      searching_ = true;
      if (!std::exchange(told_waiting_, true)) {
        Note(-1, fmt::format("job {} has not started yet; its log follows when it does",
                             request_.job()));
      }
    }
    next_search_ = Clock::now() + kRetry;
  }
  Pump();
}

void LogStream::BeginAttempt(const LoggedAttempt& attempt) {
  const bool first = sources_.empty();
  attempt_ = attempt;
  sources_.clear();
  for (const LogSource& log : attempt.sources) {
    Source& source = sources_.emplace_back();
    source.log = log;
    // What was asked for is a place in the attempt that was meant.
    if (first) source.offset = request_.offset();
    if (first) source.tail_bytes = std::max<int64_t>(0, request_.tail_bytes());
    if (first && source.tail_bytes == 0) {
      source.since_ms = std::max<int64_t>(0, request_.since_ms());
    }
  }
  if (!first) Note(-1, fmt::format("attempt {} begins", attempt.token.attempt()));
}

void LogStream::Note(int32_t rank, std::string text) {
  LogReply& reply = replies_.emplace_back();
  reply.set_attempt(attempt_.token.attempt());
  reply.set_role(attempt_.role);
  reply.set_rank(rank);
  reply.set_note(std::move(text));
}

bool LogStream::AllEnded() const {
  return std::all_of(sources_.begin(), sources_.end(),
                     [](const Source& source) { return source.ended; });
}

bool LogStream::Next(LogReply& message) {
  if (!replies_.empty()) {
    message = std::move(replies_.front());
    replies_.pop_front();
    for (Source& source : sources_) {
      if (source.log.rank == message.rank()) source.full = false;
    }
    return true;
  }
  if (!sources_.empty() && AllEnded()) EndOrFindNext();
  return false;
}

void LogStream::EndOrFindNext() {
  if (!request_.follow() || request_.attempt() != 0 || job_ended_) {
    end_ = grpc::Status::OK;
  } else if (!finding_) {
    searching_ = true;
  }
}

void LogStream::Pump() {
  Stream::Pump();
  AskAll();
}

void LogStream::Look() {
  const Clock::time_point now = Clock::now();
  bool search = false;
  {
    const std::lock_guard lock(mutex_);
    for (Source& source : sources_) {
      if (source.waits && now - source.since > kOverdue) source.waits = false;
    }
    search = searching_ && now >= next_search_;
  }
  if (search) FindAttempt();
  Pump();
}

ReadLogChunk LogStream::QuestionOf(const Source& source) const {
  ReadLogChunk question;
  *question.mutable_token() = attempt_.token;
  question.set_role(attempt_.role);
  question.set_rank(source.log.rank);
  question.set_offset(source.offset);
  question.set_tail_bytes(source.tail_bytes);
  question.set_since_ms(source.since_ms);
  question.set_limit(PieceFor(sources_.size()));
  question.set_wait(request_.follow());
  return question;
}

void LogStream::AskAll() {
  struct Question {
    size_t index;
    uint64_t asked;
    std::string node;
    ReadLogChunk question;
  };
  std::vector<Question> questions;
  {
    const std::lock_guard lock(mutex_);
    if (end_.has_value()) return;
    const Clock::time_point now = Clock::now();
    for (size_t i = 0; i < sources_.size(); ++i) {
      Source& source = sources_[i];
      if (source.waits || source.full || source.ended || now < source.retry) continue;
      source.waits = true;
      source.since = now;
      questions.push_back({i, ++source.asked, source.log.node, QuestionOf(source)});
    }
  }
  for (Question& one : questions) Ask(one.index, one.asked, one.node, std::move(one.question));
}

void LogStream::Ask(size_t index, uint64_t asked, const std::string& node, ReadLogChunk question) {
  const uint32_t attempt = question.token().attempt();
  // The agent may answer long after this call is over.
  const std::weak_ptr<LogStream> weak = Self();
  const bool sent = parts_.agents.AskLog(
      node, std::move(question), [weak, attempt, index, asked](absl::StatusOr<LogChunk> chunk) {
        if (const auto self = weak.lock()) self->OnChunk(attempt, index, asked, std::move(chunk));
      });
  if (!sent) OnChunk(attempt, index, asked, absl::UnavailableError(node + " isn't connected"));
}

void LogStream::OnChunk(uint32_t attempt, size_t index, uint64_t asked,
                        absl::StatusOr<LogChunk> chunk) {
  {
    const std::lock_guard lock(mutex_);
    if (attempt_.token.attempt() != attempt || index >= sources_.size()) return;
    Source& source = sources_[index];
    if (!source.waits || source.asked != asked) return;
    source.waits = false;
    if (chunk.ok()) {
      TakeChunk(source, *std::move(chunk));
    } else {
      OnAway(source);
    }
  }
  Pump();
}

void LogStream::OnAway(Source& source) {
  source.retry = Clock::now() + kRetry;
  if (!std::exchange(source.told, true)) {
    Note(source.log.rank,
         request_.follow()
             ? fmt::format("node {} is silent; its log follows when it is back", source.log.node)
             : fmt::format("node {} is silent: its log can't be read now", source.log.node));
  }
  if (!request_.follow()) source.ended = true;
}

void LogStream::TakeChunk(Source& source, LogChunk chunk) {
  const Clock::time_point now = Clock::now();
  source.told = false;
  if (!chunk.error().empty()) {
    source.retry = now + kRetry;
    // A part that was placed may not have begun to write.
    if (request_.follow() && !attempt_.ended) {
      searching_ = true;  // whether the attempt has ended meanwhile
      return;
    }
    source.ended = true;
    Note(source.log.rank, chunk.error().substr(0, 500));
    return;
  }
  const bool longer = chunk.data().size() > static_cast<size_t>(kLongestPiece);
  // Where such a piece begins is the agent's to say.
  const bool is_found = source.tail_bytes > 0 || source.since_ms > 0;
  if (longer || (!is_found && chunk.offset() < source.offset)) {
    source.ended = true;
    Note(source.log.rank,
         fmt::format("node {} answered with bytes that weren't asked for", source.log.node));
    return;
  }
  if (chunk.end()) source.ended = true;
  if (chunk.data().empty() && !chunk.end()) {
    if (!request_.follow()) source.ended = true;  // that is all for now
    if (now - source.since < kWaited) source.retry = now + kRetry;
    if (!chunk.gap()) return;
  }
  const bool gap = chunk.gap() || (!is_found && chunk.offset() > source.offset);
  source.offset = chunk.offset() + chunk.data().size();
  if (!chunk.data().empty()) source.tail_bytes = source.since_ms = 0;
  source.full = true;
  LogReply& reply = replies_.emplace_back();
  reply.set_attempt(attempt_.token.attempt());
  reply.set_role(attempt_.role);
  reply.set_rank(source.log.rank);
  reply.set_offset(chunk.offset());
  reply.set_data(std::move(*chunk.mutable_data()));
  reply.set_gap(gap);
  reply.set_end(chunk.end());
}

}  // namespace tanren::coordinator
