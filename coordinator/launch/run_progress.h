// What a run tells of itself: where it is, its newest checkpoint, its end, and whether it has
// fallen silent for longer than its own pace allows.
#ifndef TANREN_COORDINATOR_LAUNCH_RUN_PROGRESS_H_
#define TANREN_COORDINATOR_LAUNCH_RUN_PROGRESS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "proto/coordinator.pb.h"
#include "proto/event.pb.h"

namespace tanren::coordinator {

// Times are CLOCK_BOOTTIME, milliseconds, but for heard_ms (wall).
class RunProgress {
 public:
  // `attempt_folder`: a checkpoint elsewhere isn't this attempt's and doesn't count.
  // `hang_after_ms` as in RestartPolicy; with 0 a run can't hang before its second step.
  RunProgress(uint32_t attempt, std::string attempt_folder, int64_t hang_after_ms,
              int64_t started_ms);

  void OnEvent(const Event& event, int64_t steady_ms, int64_t wall_ms);
  bool IsHung(int64_t steady_ms) const;

  const std::optional<Progress>& progress() const { return progress_; }
  const std::optional<Checkpoint>& checkpoint() const { return checkpoint_; }
  const std::string& end_message() const { return end_message_; }
  bool has_ended() const { return has_ended_; }

 private:
  void OnStep(const StepFinished& step, int64_t steady_ms, int64_t wall_ms);

  const uint32_t attempt_;
  const std::string attempt_folder_;
  const int64_t hang_after_ms_;
  int64_t heard_ms_;
  int64_t last_step_ms_ = 0;
  std::deque<int64_t> paces_ms_;  // of the last steps
  std::optional<Progress> progress_;
  std::optional<Checkpoint> checkpoint_;
  std::string end_message_;
  bool has_ended_ = false;
  int64_t total_steps_ = 0;
};

// Length-delimited events out of a stream of bytes from a job, which may send anything.
class EventStream {
 public:
  // False once the stream holds no event where one should be: nothing of it can be read any more.
  template <typename OnEvent>
  bool Feed(std::string_view bytes, OnEvent on_event) {
    pending_.append(bytes);
    Event event;
    while (true) {
      const Next next = Take(event);
      if (next == Next::kDamaged) return false;
      if (next == Next::kIncomplete) return true;
      on_event(event);
    }
  }

 private:
  enum class Next { kEvent, kIncomplete, kDamaged };
  Next Take(Event& event);
  std::string pending_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_RUN_PROGRESS_H_
