#include "trainer/rollout/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/base/random.h"

namespace tanren::trainer {
namespace {

int32_t Likeliest(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

int32_t SampleToken(std::span<const float> logits, const SamplingOptions& options,
                    uint32_t sequence, uint32_t position) {
  TANREN_CHECK(!logits.empty(), "no logits to sample from");
  for (float logit : logits) TANREN_CHECK(!std::isnan(logit), "a logit is not a number");
  if (options.temperature == 0) return Likeliest(logits);

  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  if (options.top_k > 0 && static_cast<size_t>(options.top_k) < order.size()) {
    std::partial_sort(order.begin(), order.begin() + options.top_k, order.end(), likelier);
    order.resize(options.top_k);
  } else if (options.top_p < 1) {
    std::sort(order.begin(), order.end(), likelier);
  }

  const double highest = logits[Likeliest(logits)];
  std::vector<double> cumulative(order.size());
  double sum = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    sum += std::exp((logits[order[i]] - highest) / options.temperature);
    cumulative[i] = sum;
  }
  size_t kept = order.size();
  if (options.top_p < 1) {
    const auto reached =
        std::lower_bound(cumulative.begin(), cumulative.end(), options.top_p * sum);
    kept = std::min<size_t>(reached - cumulative.begin() + 1, order.size());
    sum = cumulative[kept - 1];
  }
  RandomStream random(options.seed, RandomPurpose::kSampling, sequence, position);
  const auto drawn =
      std::upper_bound(cumulative.begin(), cumulative.begin() + kept, random.NextUniform() * sum);
  return order[std::min<size_t>(drawn - cumulative.begin(), kept - 1)];
}

}  // namespace tanren::trainer
