// Answers those who ask why a job waits, beside the loop: each answer takes a scheduling pass, and
// nobody who submits should wait for it.
#ifndef TANREN_COORDINATOR_SERVER_EXPLAINER_H_
#define TANREN_COORDINATOR_SERVER_EXPLAINER_H_

#include <atomic>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "coordinator/server/loop.h"
#include "coordinator/server/task_thread.h"
#include "coordinator/state/scheduling_copy.h"

namespace tanren::coordinator {

// Follows the loop's durable events in a copy of the cluster, on a thread of its own.
class Explainer {
 public:
  // `cluster`: with all that was acknowledged before the question; null where `status` isn't OK.
  using Question = std::function<void(const absl::Status& status, const Cluster* cluster)>;

  // `loop` outlives it.
  explicit Explainer(Loop& loop);
  // Answers what waits.
  ~Explainer();

  // From any thread. `question` is called once, on the explainer's thread, unless this is an error:
  // kResourceExhausted (too many wait).
  absl::Status Ask(Question question);

  // What waits, and whatever comes, is answered with kUnavailable.
  void Stop() { stopping_ = true; }

 private:
  void Answer(const Question& question);
  // Of the thread: what was durable when it is called is in the copy.
  absl::Status CatchUp();
  absl::Status CopyAnew();
  void LookHowFar();

  Loop& loop_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> waiting_ = 0;
  std::atomic<uint64_t> followed_ = 0;  // the number of the last event in the copy
  std::atomic<bool> catching_up_ = false;
  SchedulingCopy copy_;  // of the thread
  bool copied_ = false;  // of the thread
  uint64_t subscription_ = 0;
  TaskThread thread_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_EXPLAINER_H_
