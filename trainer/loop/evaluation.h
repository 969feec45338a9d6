// Held-out loss during training, on all ranks.
#ifndef TANREN_TRAINER_LOOP_EVALUATION_H_
#define TANREN_TRAINER_LOOP_EVALUATION_H_

#include <cstdint>

#include "parallel/engine/engine.h"
#include "runtime/comm/communicator.h"
#include "trainer/data/validation_set.h"
#include "trainer/loop/callback.h"

namespace tanren::trainer {

// Mean −log p over the targets of all documents, in nats. A collective.
double HeldOutLoss(parallel::Engine& engine, comm::Communicator& ranks,
                   const ValidationSet& held_out);

// Adds the metric "validation_loss" every so many steps and after the last one.
class Evaluation final : public Callback {
 public:
  // `every_steps` 0: only after the last. The references must outlive this.
  Evaluation(parallel::Engine& engine, comm::Communicator& ranks, const ValidationSet& held_out,
             int64_t every_steps);
  // Before the first step too, for a loss to compare with.
  void RunStarted(StartReport& report) override;
  void StepFinished(StepReport& report) override;

 private:
  parallel::Engine& engine_;
  comm::Communicator& ranks_;
  const ValidationSet& held_out_;
  int64_t every_steps_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_EVALUATION_H_
