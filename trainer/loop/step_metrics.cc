#include "trainer/loop/step_metrics.h"

#include <algorithm>

namespace tanren::trainer {

std::vector<std::pair<std::string, double>> MetricsOf(const StepReport& report) {
  std::vector<std::pair<std::string, double>> values = {
      {"loss", report.loss},
      {"learning_rate", report.learning_rate},
      {"gradient_norm", report.gradient_norm},
      {"tokens", static_cast<double>(report.tokens)},
      {"targets", report.target_weight},
      {"documents", static_cast<double>(report.documents)},
      {"seconds", report.seconds},
      {"tokens_per_second", static_cast<double>(report.tokens) / std::max(report.seconds, 1e-9)},
      {"memory_bytes", static_cast<double>(report.memory.resident)},
      {"peak_memory_bytes", static_cast<double>(report.memory.peak_resident)}};
  if (report.memory.peak_device > 0) {
    values.emplace_back("device_memory_bytes", static_cast<double>(report.memory.device));
    values.emplace_back("peak_device_memory_bytes", static_cast<double>(report.memory.peak_device));
  }
  if (report.loss_scale != 1) values.emplace_back("loss_scale", report.loss_scale);
  if (report.skipped) values.emplace_back("skipped", 1);
  values.insert(values.end(), report.metrics.begin(), report.metrics.end());
  return values;
}

bool IsWritten(const StepReport& report, int64_t log_every) {
  return report.step % log_every == 0 || IsEvaluated(report) || report.is_last;
}

bool IsEvaluated(const StepReport& report) { return report.metrics.contains("validation_loss"); }

}  // namespace tanren::trainer
