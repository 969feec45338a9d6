#include "trainer/loop/confidence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/base/random.h"

namespace tanren::trainer {
namespace {

constexpr double kNormalQuantile = 1.959963984540054;  // 97.5 %
constexpr int kBootstrapSamples = 2000;

}  // namespace

Interval ShareInterval(int64_t successes, int64_t trials) {
  TANREN_CHECK(trials > 0, "no trials");
  const double n = static_cast<double>(trials), share = static_cast<double>(successes) / n;
  const double z2 = kNormalQuantile * kNormalQuantile;
  const double center = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half =
      kNormalQuantile / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return {std::max(0.0, center - half), std::min(1.0, center + half)};
}

Interval RatioInterval(std::span<const double> sums, std::span<const double> weights,
                       uint64_t seed) {
  TANREN_CHECK(!sums.empty() && sums.size() == weights.size(), "{} sums, {} weights", sums.size(),
               weights.size());
  std::vector<double> ratios;
  ratios.reserve(kBootstrapSamples);
  for (uint32_t sample = 0; sample < kBootstrapSamples; ++sample) {
    RandomStream random(seed, RandomPurpose::kBootstrap, sample);
    double sum = 0, weight = 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      const uint64_t drawn = random.NextBelow(sums.size());
      sum += sums[drawn];
      weight += weights[drawn];
    }
    if (weight > 0) ratios.push_back(sum / weight);
  }
  TANREN_CHECK(!ratios.empty(), "the weights are zero");
  std::sort(ratios.begin(), ratios.end());
  const auto at = [&](double quantile) {
    return ratios[static_cast<size_t>(quantile * static_cast<double>(ratios.size() - 1))];
  };
  return {at(0.025), at(0.975)};
}

}  // namespace tanren::trainer
