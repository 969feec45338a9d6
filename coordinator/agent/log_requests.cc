#include "coordinator/agent/log_requests.h"

#include <limits>
#include <string>
#include <utility>

namespace tanren::coordinator {

bool LogRequests::Answer(const ReadLogChunk& request, bool may_wait, LogChunk& answer) {
  absl::StatusOr<LogChunk> chunk = launcher_.ReadLog(request);
  if (chunk.ok()) {
    const bool something = !chunk->data().empty() || chunk->end() || chunk->gap();
    if (!something && may_wait) return false;
    answer = *std::move(chunk);
  } else {
    // What hasn't been written yet may come.
    if (may_wait && chunk.status().code() == absl::StatusCode::kNotFound) return false;
    answer.set_offset(request.offset());
    answer.set_error(std::string(chunk.status().message()));
  }
  answer.set_request(request.request());
  return true;
}

std::vector<LogChunk> LogRequests::Add(const ReadLogChunk& request, int64_t now_ms) {
  const bool may_wait = request.wait() && waiting_.size() < kMostWaiting;
  LogChunk answer;
  if (Answer(request, may_wait, answer)) return {std::move(answer)};
  if (waiting_.empty()) next_look_ms_ = now_ms + kLookEveryMs;
  waiting_.push_back({request, now_ms + kLongestWaitMs});
  return {};
}

std::vector<LogChunk> LogRequests::Look(int64_t now_ms) {
  std::vector<LogChunk> answers;
  if (waiting_.empty() || now_ms < next_look_ms_) return answers;
  next_look_ms_ = now_ms + kLookEveryMs;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    LogChunk answer;
    if (Answer(it->request, now_ms < it->until_ms, answer)) {
      answers.push_back(std::move(answer));
      it = waiting_.erase(it);
    } else {
      ++it;
    }
  }
  return answers;
}

int64_t LogRequests::NextCall() const {
  return waiting_.empty() ? std::numeric_limits<int64_t>::max() : next_look_ms_;
}

}  // namespace tanren::coordinator
