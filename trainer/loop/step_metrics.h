// A step's report as names and values: what metrics.jsonl and TensorBoard show.
#ifndef TANREN_TRAINER_LOOP_STEP_METRICS_H_
#define TANREN_TRAINER_LOOP_STEP_METRICS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "trainer/loop/callback.h"

namespace tanren::trainer {

// The report's own values, then what callbacks added.
std::vector<std::pair<std::string, double>> MetricsOf(const StepReport& report);

// Every `log_every`-th step is written down, those with an evaluation, and the last.
bool IsWritten(const StepReport& report, int64_t log_every);

// Whether the step was followed by an evaluation on held-out data.
bool IsEvaluated(const StepReport& report);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_STEP_METRICS_H_
