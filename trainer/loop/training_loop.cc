#include "trainer/loop/training_loop.h"

#include <ATen/ATen.h>

#include <chrono>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/telemetry/flight_recorder.h"
#include "trainer/loop/machine_limit.h"

namespace tanren::trainer {

parallel::Activations InputOf(const Batch& batch, at::Device device) {
  parallel::Activations input;
  input.tokens_T = batch.tokens_T.to(device);
  input.positions_T = batch.positions_T.to(device);
  input.document_offsets = batch.document_offsets_N1.to(device);
  return input;
}

TrainingLoop::TrainingLoop(TrainingParts parts, TrainingOptions options,
                           std::vector<std::unique_ptr<Callback>> callbacks,
                           std::function<bool()> stop_requested)
    : parts_(parts),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      stop_requested_(std::move(stop_requested)) {}

TrainingOutcome TrainingLoop::Run(int64_t steps_done) {
  StartReport start{steps_done, {}};
  for (const auto& callback : callbacks_) callback->RunStarted(start);
  for (int64_t index = steps_done; index < options_.total_steps; ++index) {
    if (telemetry::FlightRecorder* recorder = parts_.ranks.flight_recorder()) {
      recorder->SetStep(index + 1);
    }
    StepReport report = Step(index);
    for (const auto& callback : callbacks_) callback->StepFinished(report);
    if (report.stop_requested && !report.is_last) return TrainingOutcome::kStopped;
  }
  return TrainingOutcome::kFinished;
}

StepReport TrainingLoop::Step(int64_t index) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<StepBatches> batches = ValueOrThrow(parts_.source.Next());
  if (!batches) {
    throw Error(absl::OutOfRangeError(
        fmt::format("the data ended before step {} of {}", index + 1, options_.total_steps)));
  }
  const double scale = parts_.scaler != nullptr ? parts_.scaler->scale() : 1;
  double loss_sum = 0;
  parts_.engine.BeginStep();
  for (const Batch& batch : batches->micro_batches) {
    loss_sum += ForwardBackward(batch, scale / batches->target_weight);
  }
  parts_.engine.FinishStep();
  const Agreed agreed = Agree(loss_sum, stop_requested_());

  for (const auto& callback : callbacks_) callback->BeforeUpdate();
  StepReport report;
  report.learning_rate = parallel::LearningRateAt(options_.schedule, index);
  const parallel::UpdateOutcome outcome = parallel::UpdateParameters(
      parts_.optimizer, parts_.ranks, report.learning_rate, options_.update, parts_.scaler);
  report.step = index + 1;
  report.loss = agreed.loss_sum / batches->target_weight;
  report.target_weight = batches->target_weight;
  report.tokens = batches->tokens;
  report.documents = batches->documents;
  report.gradient_norm = outcome.gradient_norm;
  report.skipped = outcome.skipped();
  report.loss_scale = scale;
  report.peak_memory_bytes = agreed.peak_memory_bytes;
  report.is_last = report.step == options_.total_steps;
  report.stop_requested = agreed.stop;
  report.cursor = parts_.source.cursor();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

double TrainingLoop::ForwardBackward(const Batch& batch, double derivative_scale) {
  const at::Device device(parts_.ranks.device_type());
  Batch moved = batch;
  moved.targets_T = batch.targets_T.to(device);
  moved.weights_T = batch.weights_T.to(device);
  return parts_.engine.ForwardBackward(
      InputOf(batch, device),
      [&](const at::Tensor& hidden_TD, std::span<const at::Tensor> parameters,
          std::span<at::Tensor> gradients) {
        return parts_.objective.LossAndDerivative(
            moved, {hidden_TD, parameters.front(), gradients.front()}, derivative_scale);
      });
}

TrainingLoop::Agreed TrainingLoop::Agree(double loss_sum, bool stop) const {
  const at::Device device(parts_.ranks.device_type());
  const at::Tensor sum = at::tensor({loss_sum}, at::kDouble).to(device);
  const at::Tensor largest =
      at::tensor({stop ? 1.0 : 0.0, static_cast<double>(PeakMemoryBytes())}, at::kDouble)
          .to(device);
  parts_.ranks.AllReduce(sum, comm::ReduceOp::kSum, "loss")->Wait();
  parts_.ranks.AllReduce(largest, comm::ReduceOp::kMax, "stop and peak memory")->Wait();
  const at::Tensor found = largest.cpu();
  return {sum.cpu().item<double>(), found[0].item<double>() > 0,
          static_cast<uint64_t>(found[1].item<double>())};
}

}  // namespace tanren::trainer
