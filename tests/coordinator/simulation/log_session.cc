#include "tests/coordinator/simulation/log_session.h"

#include <utility>

#include "tests/coordinator/simulation/coordinator.h"

namespace tanren::coordinator::simulation {
namespace {

constexpr int64_t kOverdueUs = 15 * kSecond;
constexpr int64_t kRetryUs = 400 * kMillisecond;
constexpr int32_t kPiece = 300;

}  // namespace

LogSession::LogSession(World& world, Coordinator& coordinator, LogRequest request,
                       std::function<void(const LogPiece&)> take,
                       std::function<void(const absl::Status&)> end)
    : world_(world),
      coordinator_(coordinator),
      request_(std::move(request)),
      take_(std::move(take)),
      end_(std::move(end)),
      offset_(request_.offset()) {}

void LogSession::End(const absl::Status& status) {
  if (std::exchange(closed_, true)) return;
  end_(status);
}

void LogSession::Break() { End(absl::UnavailableError("the stream broke")); }

void LogSession::Find() {
  const absl::StatusOr<LogPlace> place =
      FindLog(coordinator_.core()->cluster(), request_, request_.attempt());
  if (!place.ok()) return End(place.status());
  if (place->attempt.empty()) {
    if (place->job_ended) End(absl::NotFoundError("it ended without having started"));
    return;
  }
  if (!found_) attempt_ = place->attempt[0];
  found_ = true;
  attempt_.ended = place->attempt[0].ended;
}

void LogSession::Look() {
  if (closed_) return;
  if (waits_ && world_.now_us() - since_us_ > kOverdueUs) waits_ = false;
  if (!found_ || !attempt_.ended) Find();
  Ask();
}

void LogSession::Ask() {
  if (closed_ || !found_ || waits_ || full_ || world_.now_us() < retry_us_) return;
  waits_ = true;
  since_us_ = world_.now_us();
  ReadLogChunk question;
  *question.mutable_token() = attempt_.token;
  question.set_role(attempt_.role);
  question.set_rank(attempt_.sources[0].rank);
  question.set_offset(offset_);
  question.set_limit(kPiece);
  question.set_wait(true);
  coordinator_.AskLog(World::NodeIndex(attempt_.sources[0].node), std::move(question),
                      [self = shared_from_this(), asked = ++asked_](auto chunk) {
                        self->OnChunk(asked, std::move(chunk));
                      });
}

void LogSession::OnChunk(uint64_t asked, absl::StatusOr<LogChunk> chunk) {
  if (closed_ || !waits_ || asked != asked_) return;
  waits_ = false;
  if (!chunk.ok()) {  // its node is away: it goes on there
    retry_us_ = world_.now_us() + kRetryUs;
    return;
  }
  if (!chunk->error().empty()) {
    retry_us_ = world_.now_us() + kRetryUs;
    // A part that was placed may not have begun to write.
    if (attempt_.ended) End(absl::OkStatus());
    return;
  }
  if (chunk->data().empty() && !chunk->end() && !chunk->gap()) {
    retry_us_ = world_.now_us() + kRetryUs;
    return;
  }
  offset_ = chunk->offset() + chunk->data().size();
  full_ = true;
  take_({attempt_.token, *chunk});
}

void LogSession::Taken() {
  full_ = false;
  Ask();
}

}  // namespace tanren::coordinator::simulation
