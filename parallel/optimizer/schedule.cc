#include "parallel/optimizer/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tanren::parallel {
namespace {

// How much of the way from the peak to the final rate is left, 1 … 0.
double Remaining(const LearningRateSchedule& schedule, int64_t step) {
  using Kind = LearningRateSchedule::Kind;
  if (schedule.kind == Kind::kConstant) return 1;
  int64_t start = schedule.warmup_steps;
  if (schedule.kind == Kind::kWarmupStableDecay) {
    start = std::max(start, schedule.total_steps - schedule.decay_steps);
  }
  if (step >= schedule.total_steps) return 0;
  if (step <= start) return 1;
  const double progress =
      static_cast<double>(step - start) / static_cast<double>(schedule.total_steps - start);
  if (schedule.kind == Kind::kCosine) return 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return 1 - progress;
}

}  // namespace

double LearningRateAt(const LearningRateSchedule& schedule, int64_t step) {
  if (step < schedule.warmup_steps) {
    return schedule.peak * static_cast<double>(step + 1) /
           static_cast<double>(schedule.warmup_steps);
  }
  const double remaining = Remaining(schedule, step);
  return schedule.peak * (schedule.final_ratio + (1 - schedule.final_ratio) * remaining);
}

}  // namespace tanren::parallel
