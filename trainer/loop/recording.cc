#include "trainer/loop/recording.h"

#include <utility>

#include "runtime/base/error.h"
#include "trainer/loop/step_metrics.h"

namespace tanren::trainer {

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
  if (IsWritten(report, log_every_)) {
    ThrowIfError(metrics_.Append({report.step, MetricsOf(report)}));
  }

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
  if (IsEvaluated(report)) SendEvaluation(report.step, report.metrics);
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
