#include "trainer/loop/training_loop.h"

#include <ATen/ATen.h>

#include <chrono>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/fail_point.h"
#include "runtime/kernels/device_copy.h"
#include "runtime/telemetry/flight_recorder.h"

namespace tanren::trainer {

parallel::Activations InputOf(const Batch& batch, at::Device device) {
  parallel::Activations input;
  input.tokens_T = kernels::ToDevice(batch.tokens_T, device);
  input.positions_T = kernels::ToDevice(batch.positions_T, device);
  input.document_offsets = batch.document_offsets_N1;
  if (!device.is_cpu()) {
    input.device_offsets = kernels::ToDevice(batch.document_offsets_N1.to(at::kInt), device);
  }
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
    (void)FailPoint("training.step", index + 1, stop_requested_);
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
  at::Tensor loss_sum = at::zeros({}, at::device(parts_.ranks.device_type()).dtype(at::kDouble));
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
  report.memory = agreed.memory;
  report.is_last = report.step == options_.total_steps;
  report.stop_requested = agreed.stop;
  report.cursor = parts_.source.cursor();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

at::Tensor TrainingLoop::ForwardBackward(const Batch& batch, double derivative_scale) {
  return parts_.engine.ForwardBackward(
      InputOf(batch, at::Device(parts_.ranks.device_type())),
      [&](const at::Tensor& hidden_TD, std::span<const at::Tensor> parameters,
          std::span<at::Tensor> gradients) {
        // Targets and weights stay on the host: see linear_cross_entropy.h.
        return parts_.objective.LossAndDerivative(
            batch, {hidden_TD, parameters.front(), gradients.front()}, derivative_scale);
      });
}

TrainingLoop::Agreed TrainingLoop::Agree(const at::Tensor& loss_sum, bool stop) const {
  const at::Device device(parts_.ranks.device_type());
  const MemoryUse use = MemoryUseNow(device);
  const at::Tensor largest = kernels::ToDevice(
      at::tensor({stop ? 1.0 : 0.0, static_cast<double>(use.resident),
                  static_cast<double>(use.peak_resident), static_cast<double>(use.device),
                  static_cast<double>(use.peak_device)},
                 at::kDouble),
      device);
  parts_.ranks.AllReduce(loss_sum, comm::ReduceOp::kSum, "loss")->Wait();
  parts_.ranks.AllReduce(largest, comm::ReduceOp::kMax, "stop and memory")->Wait();
  // What the step was: its one wait beside the update's.
  const at::Tensor found = kernels::ToHost(at::cat({largest, loss_sum.view({1})}));
  const auto bytes = [&](int64_t i) { return static_cast<uint64_t>(found[i].item<double>()); };
  return {found[5].item<double>(),
          found[0].item<double>() > 0,
          {bytes(1), bytes(2), bytes(3), bytes(4)}};
}

}  // namespace tanren::trainer
