#include "coordinator/launch/run_progress.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "coordinator/state/attempt_end.h"
#include "google/protobuf/io/coded_stream.h"
#include "runtime/base/utf8.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kPaces = 64;
constexpr int64_t kPacesToHang = 10;
constexpr int64_t kShortestHangMs = 120'000;
constexpr uint32_t kLongestRecord = 1 << 24;  // as the run's own log
constexpr size_t kLongestVarint = 5;

}  // namespace

RunProgress::RunProgress(uint32_t attempt, std::string attempt_folder, int64_t hang_after_ms,
                         int64_t started_ms)
    : attempt_(attempt),
      attempt_folder_(std::move(attempt_folder)),
      hang_after_ms_(hang_after_ms),
      heard_ms_(started_ms) {}

void RunProgress::OnStep(const StepFinished& step, int64_t steady_ms, int64_t wall_ms) {
  if (last_step_ms_ != 0) paces_ms_.push_back(steady_ms - last_step_ms_);
  if (paces_ms_.size() > kPaces) paces_ms_.pop_front();
  last_step_ms_ = steady_ms;
  Progress progress;
  progress.set_step(step.step());
  progress.set_total_steps(total_steps_);
  progress.set_loss(step.loss());
  progress.set_seconds_per_step(step.seconds());
  if (step.seconds() > 0) {
    progress.set_tokens_per_second(static_cast<double>(step.tokens()) / step.seconds());
  }
  progress.set_heard_ms(wall_ms);
  progress_ = progress;
}

void RunProgress::OnEvent(const Event& event, int64_t steady_ms, int64_t wall_ms) {
  heard_ms_ = steady_ms;
  if (event.has_run_started()) {
    total_steps_ = event.run_started().total_steps();
    Progress progress;
    progress.set_step(event.run_started().first_step());
    progress.set_total_steps(total_steps_);
    progress.set_heard_ms(wall_ms);
    progress_ = progress;
  } else if (event.has_step_finished()) {
    OnStep(event.step_finished(), steady_ms, wall_ms);
  } else if (event.has_checkpoint_published()) {
    const std::string& path = event.checkpoint_published().path();
    // A report with such a path could not be read by the coordinator, nor any other of this
    // agent's.
    if (ValidPrefix(path) != path.size()) return;
    const std::filesystem::path folder = std::filesystem::path(path).lexically_normal();
    const std::string below = folder.lexically_relative(attempt_folder_).string();
    if (attempt_folder_.empty() || below.empty() || below == "." || below.starts_with("..")) return;
    Checkpoint checkpoint;
    checkpoint.set_attempt(attempt_);
    checkpoint.set_step(event.checkpoint_published().step());
    checkpoint.set_folder(folder);
    checkpoint.set_published_ms(event.time_ns() / 1'000'000);
    checkpoint_ = checkpoint;
  } else if (event.has_run_ended()) {
    has_ended_ = true;
    end_message_ = ValidUtf8(event.run_ended().message(), kLongestEndMessage);
  }
}

bool RunProgress::IsHung(int64_t steady_ms) const {
  if (has_ended_) return false;
  int64_t after = hang_after_ms_;
  if (after <= 0) {
    if (paces_ms_.empty()) return false;
    std::vector<int64_t> paces(paces_ms_.begin(), paces_ms_.end());
    std::nth_element(paces.begin(), paces.begin() + paces.size() / 2, paces.end());
    after = std::max(kShortestHangMs, kPacesToHang * paces[paces.size() / 2]);
  }
  return steady_ms - heard_ms_ > after;
}

EventStream::Next EventStream::Take(Event& event) {
  if (pending_.empty()) return Next::kIncomplete;
  const auto* data = reinterpret_cast<const uint8_t*>(pending_.data());
  google::protobuf::io::CodedInputStream header(
      data, static_cast<int>(std::min(pending_.size(), kLongestVarint)));
  uint32_t size = 0;
  if (!header.ReadVarint32(&size)) {
    return pending_.size() >= kLongestVarint ? Next::kDamaged : Next::kIncomplete;
  }
  if (size == 0 || size > kLongestRecord) return Next::kDamaged;
  const auto begin = static_cast<size_t>(header.CurrentPosition());
  if (pending_.size() - begin < size) return Next::kIncomplete;
  if (!event.ParseFromArray(data + begin, static_cast<int>(size))) return Next::kDamaged;
  pending_.erase(0, begin + size);
  return Next::kEvent;
}

}  // namespace tanren::coordinator
