#include "trainer/loop/evaluation.h"

#include <ATen/ATen.h>

#include "runtime/kernels/device_copy.h"
#include "runtime/kernels/linear_cross_entropy.h"
#include "trainer/loop/training_loop.h"

namespace tanren::trainer {

double HeldOutLoss(parallel::Engine& engine, comm::Communicator& ranks,
                   const ValidationSet& held_out) {
  const at::Device device(ranks.device_type());
  at::Tensor sum = at::zeros({1}, at::device(device).dtype(at::kDouble));
  for (size_t step = 0; step < held_out.step_count(); ++step) {
    for (const Batch& batch : held_out.step(step).micro_batches) {
      engine.Forward(InputOf(batch, device), [&](const at::Tensor& hidden_TD,
                                                 std::span<const at::Tensor> parameters) {
        const kernels::TokenStatistics statistics = kernels::LogProbabilities(
            hidden_TD, parameters.front(), batch.targets_T, batch.weights_T.ne(0));
        sum.sub_((statistics.logprob_T.to(at::kDouble) * kernels::ToDevice(batch.weights_T, device))
                     .sum());
      });
    }
  }
  ranks.AllReduce(sum, comm::ReduceOp::kSum, "validation loss")->Wait();
  return kernels::ToHost(sum).item<double>() / held_out.target_weight();
}

Evaluation::Evaluation(parallel::Engine& engine, comm::Communicator& ranks,
                       const ValidationSet& held_out, int64_t every_steps)
    : engine_(engine), ranks_(ranks), held_out_(held_out), every_steps_(every_steps) {}

void Evaluation::RunStarted(StartReport& report) {
  if (report.steps_done > 0) return;
  report.metrics["validation_loss"] = HeldOutLoss(engine_, ranks_, held_out_);
}

void Evaluation::StepFinished(StepReport& report) {
  const bool due = every_steps_ > 0 && report.step % every_steps_ == 0;
  if (!due && !report.is_last) return;
  report.metrics["validation_loss"] = HeldOutLoss(engine_, ranks_, held_out_);
}

}  // namespace tanren::trainer
