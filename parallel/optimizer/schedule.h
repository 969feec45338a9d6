// The learning rate as a pure function of the step.
#ifndef TANREN_PARALLEL_OPTIMIZER_SCHEDULE_H_
#define TANREN_PARALLEL_OPTIMIZER_SCHEDULE_H_

#include <cstdint>

namespace tanren::parallel {

struct LearningRateSchedule {
  enum class Kind {
    kConstant,
    kLinear,             // to the final rate at total_steps
    kCosine,             // half a period, to the final rate at total_steps
    kWarmupStableDecay,  // constant, then linear over the last decay_steps; arXiv:2404.06395
  };
  Kind kind = Kind::kConstant;
  double peak = 0;
  double final_ratio = 0;  // final rate / peak
  int64_t warmup_steps = 0;
  int64_t total_steps = 0;  // not used by kConstant
  int64_t decay_steps = 0;  // of kWarmupStableDecay
};

// The rate of `step`, counted from 0. Warm-up is linear: step s of W has peak × (s + 1) / W, so no
// step is spent at 0. From total_steps on it is the final rate.
double LearningRateAt(const LearningRateSchedule& schedule, int64_t step);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_OPTIMIZER_SCHEDULE_H_
