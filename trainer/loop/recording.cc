#include "trainer/loop/recording.h"

#include <algorithm>
#include <utility>

#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

constexpr char kValidationLoss[] = "validation_loss";

}  // namespace

Recording::Recording(MetricsFile metrics, EventLog& events, tanren::RunStarted started,
                     int64_t log_every)
    : metrics_(std::move(metrics)),
      events_(events),
      started_(std::move(started)),
      log_every_(log_every) {}

void Recording::RunStarted(StartReport& report) {
  ThrowIfError(metrics_.CutBackTo(report.steps_done));
  Event event;
  *event.mutable_run_started() = started_;
  event.mutable_run_started()->set_first_step(report.steps_done);
  ThrowIfError(events_.Append(std::move(event)));
  if (report.metrics.empty()) return;
  ThrowIfError(
      metrics_.Append({report.steps_done, {report.metrics.begin(), report.metrics.end()}}));
  SendEvaluation(report.steps_done, report.metrics);
}

void Recording::StepFinished(StepReport& report) {
  const bool evaluated = report.metrics.contains(kValidationLoss);
  if (report.step % log_every_ == 0 || evaluated || report.is_last) WriteMetrics(report);

  Event event;
  tanren::StepFinished& step = *event.mutable_step_finished();
  step.set_step(report.step);
  step.set_loss(report.loss);
  step.set_tokens(report.tokens);
  step.set_seconds(report.seconds);
  step.set_learning_rate(report.learning_rate);
  step.set_gradient_norm(report.gradient_norm);
  step.set_skipped(report.skipped);
  for (const auto& [name, value] : report.metrics) (*step.mutable_metrics())[name] = value;
  ThrowIfError(events_.Append(std::move(event)));
  if (evaluated) SendEvaluation(report.step, report.metrics);
}

void Recording::WriteMetrics(const StepReport& report) {
  MetricsLine line;
  line.step = report.step;
  line.values = {
      {"loss", report.loss},
      {"learning_rate", report.learning_rate},
      {"gradient_norm", report.gradient_norm},
      {"tokens", static_cast<double>(report.tokens)},
      {"targets", report.target_weight},
      {"documents", static_cast<double>(report.documents)},
      {"seconds", report.seconds},
      {"tokens_per_second", static_cast<double>(report.tokens) / std::max(report.seconds, 1e-9)},
      {"peak_memory_bytes", static_cast<double>(report.peak_memory_bytes)}};
  if (report.loss_scale != 1) line.values.emplace_back("loss_scale", report.loss_scale);
  if (report.skipped) line.values.emplace_back("skipped", 1);
  line.values.insert(line.values.end(), report.metrics.begin(), report.metrics.end());
  ThrowIfError(metrics_.Append(line));
}

void Recording::SendEvaluation(int64_t step, const std::map<std::string, double>& metrics) {
  Event event;
  event.mutable_evaluation_finished()->set_step(step);
  for (const auto& [name, value] : metrics) {
    (*event.mutable_evaluation_finished()->mutable_metrics())[name] = value;
  }
  ThrowIfError(events_.Append(std::move(event)));
}

}  // namespace tanren::trainer
