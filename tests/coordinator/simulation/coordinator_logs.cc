// What the coordinator's process does for those who read logs.
#include <utility>

#include "tests/coordinator/simulation/coordinator.h"
#include "tests/coordinator/simulation/machine.h"
#include "tests/coordinator/simulation/network.h"

namespace tanren::coordinator::simulation {

std::shared_ptr<LogSession> Coordinator::OpenLog(const LogRequest& request,
                                                 std::function<void(const LogPiece&)> take,
                                                 std::function<void(const absl::Status&)> end) {
  if (core_ == nullptr) return nullptr;
  if (logs_.empty()) LookAtLogs();
  return logs_.emplace_back(
      std::make_shared<LogSession>(world_, *this, request, std::move(take), std::move(end)));
}

void Coordinator::LookAtLogs() {
  world_.queue.After(500 * kMillisecond, [this, run = run_] {
    if (run != run_) return;
    std::erase_if(logs_, [](const auto& log) { return log->is_closed(); });
    if (world_.now_us() >= paused_until_us_) {
      const auto logs = logs_;
      for (const auto& log : logs) log->Look();
    }
    if (!logs_.empty()) LookAtLogs();
  });
}

void Coordinator::AskLog(int node, ReadLogChunk question,
                         std::function<void(absl::StatusOr<LogChunk>)> answered) {
  const auto stream = streams_.find(node);
  if (stream == streams_.end()) return answered(absl::UnavailableError("it isn't connected"));
  question.set_request(++last_question_);
  questions_[last_question_] = {stream->second, std::move(answered)};
  world_.network->ToNode(node, [this, node, stream = stream->second, question] {
    world_.machines[static_cast<size_t>(node)]->AskLog(stream, question);
  });
}

void Coordinator::TakeChunk(uint64_t stream, const LogChunk& chunk) {
  const auto question = questions_.find(chunk.request());
  if (question == questions_.end() || question->second.stream != stream) return;
  const auto answered = std::move(question->second.answered);
  questions_.erase(question);
  answered(chunk);
}

void Coordinator::FailQuestions(uint64_t stream) {
  std::vector<std::function<void(absl::StatusOr<LogChunk>)>> failed;
  for (auto it = questions_.begin(); it != questions_.end();) {
    if (it->second.stream != stream) {
      ++it;
      continue;
    }
    failed.push_back(std::move(it->second.answered));
    it = questions_.erase(it);
  }
  for (const auto& answered : failed) answered(absl::UnavailableError("its stream has ended"));
}

}  // namespace tanren::coordinator::simulation
