// What happens around the steps of a training: metrics, progress, evaluation, checkpoints. The loop
// calls them in their order, on every rank; one that communicates is there on every rank.
#ifndef TANREN_TRAINER_LOOP_CALLBACK_H_
#define TANREN_TRAINER_LOOP_CALLBACK_H_

#include <cstdint>
#include <map>
#include <string>

#include "trainer/loop/memory_use.h"

namespace tanren::trainer {

// One step, over all ranks. Steps count from 1 here: `step` steps have been done.
struct StepReport {
  int64_t step = 0;
  double loss = 0;           // mean over the step's targets, in nats
  double target_weight = 0;  // how many targets that was
  int64_t tokens = 0;        // that went through the model
  int64_t documents = 0;
  double seconds = 0;
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
  bool skipped = false;      // gradients were not finite
  double loss_scale = 1;
  MemoryUse memory;             // each figure of the rank that has most of it
  bool is_last = false;         // of the whole run
  bool stop_requested = false;  // the run saves and ends after this step
  std::string cursor;           // of the source, behind this step
  // What callbacks add, for those that come after them: "validation_loss".
  std::map<std::string, double> metrics;
};

// What is known before the first step.
struct StartReport {
  int64_t steps_done = 0;  // not 0 where a run is resumed
  std::map<std::string, double> metrics;
};

class Callback {
 public:
  virtual ~Callback() = default;
  virtual void RunStarted(StartReport& report) {}
  // The step's gradients are there; the optimizer is about to change parameters and its state.
  virtual void BeforeUpdate() {}
  virtual void StepFinished(StepReport& report) {}
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_CALLBACK_H_
