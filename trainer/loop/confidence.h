// 95 % confidence intervals for what an evaluation finds.
#ifndef TANREN_TRAINER_LOOP_CONFIDENCE_H_
#define TANREN_TRAINER_LOOP_CONFIDENCE_H_

#include <cstdint>
#include <span>

namespace tanren::trainer {

struct Interval {
  double low = 0;
  double high = 0;
};

// Of a share of successes: Wilson's score interval, doi:10.1080/01621459.1927.10502953. Requires
// trials > 0.
Interval ShareInterval(int64_t successes, int64_t trials);

// Of the ratio Σ sums / Σ weights, where pairs are independent of each other (documents: their
// losses and targets) and what is inside a pair isn't: percentiles of 2,000 bootstrap samples,
// drawn from the seed. Requires at least one pair, and a positive sum of weights.
Interval RatioInterval(std::span<const double> sums, std::span<const double> weights,
                       uint64_t seed);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_CONFIDENCE_H_
