// The training loop. It doesn't know what it trains, where batches come from, or what is done with
// its reports.
#ifndef TANREN_TRAINER_LOOP_TRAINING_LOOP_H_
#define TANREN_TRAINER_LOOP_TRAINING_LOOP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "parallel/engine/engine.h"
#include "parallel/optimizer/loss_scaler.h"
#include "parallel/optimizer/optimizer.h"
#include "parallel/optimizer/schedule.h"
#include "parallel/optimizer/update.h"
#include "runtime/comm/communicator.h"
#include "trainer/data/batch_source.h"
#include "trainer/loop/callback.h"
#include "trainer/objective/objective.h"

namespace tanren::trainer {

// What a loop works on; all must outlive it.
struct TrainingParts {
  comm::Communicator& ranks;
  parallel::Engine& engine;
  parallel::Optimizer& optimizer;
  parallel::LossScaler* scaler = nullptr;  // of fp16; may be null
  BatchSource& source;
  const Objective& objective;
};

struct TrainingOptions {
  int64_t total_steps = 0;
  parallel::LearningRateSchedule schedule;
  parallel::UpdateOptions update;
};

enum class TrainingOutcome {
  kFinished,  // all steps are done
  kStopped,   // asked to: the last report said so
};

class TrainingLoop {
 public:
  // `stop_requested` is asked after each step; the answer of any rank counts for all.
  TrainingLoop(TrainingParts parts, TrainingOptions options,
               std::vector<std::unique_ptr<Callback>> callbacks,
               std::function<bool()> stop_requested);

  // Steps steps_done … total_steps − 1. A collective. Throws Error; a source that ends before the
  // last step is one. Fail points: training.step_N, before step N (from 1); a request to stop ends
  // a hold there.
  TrainingOutcome Run(int64_t steps_done);

 private:
  StepReport Step(int64_t index);
  at::Tensor ForwardBackward(const Batch& batch, double derivative_scale);
  // What the ranks find out together.
  struct Agreed {
    double loss_sum = 0;  // of all of them
    bool stop = false;    // any of them was asked to
    MemoryUse memory;     // the largest of each figure
  };
  Agreed Agree(const at::Tensor& loss_sum, bool stop) const;

  TrainingParts parts_;
  TrainingOptions options_;
  std::vector<std::unique_ptr<Callback>> callbacks_;
  std::function<bool()> stop_requested_;
};

// The batch as the engine takes it, on `device`.
parallel::Activations InputOf(const Batch& batch, at::Device device);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_TRAINING_LOOP_H_
