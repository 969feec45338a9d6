#include "trainer/rollout/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/base/error.h"
#include "runtime/base/random.h"
#include "runtime/kernels/logit_rows.h"

namespace tanren::trainer {
namespace {

int32_t Likeliest(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

bool ChangesLogits(const SamplingOptions& options) {
  return !options.logit_bias.empty() || options.repetition_penalty != 1;
}

// The softmax at the temperature and nothing else. The kernel's factor is a float.
bool DrawsFromAll(const SamplingOptions& options) {
  return !ChangesLogits(options) && options.temperature >= 1e-3 && options.top_k == 0 &&
         options.top_p >= 1 && options.min_p == 0;
}

// In fp32, as transformers computes.
std::vector<float> BiasedAndPenalised(std::span<const float> logits, std::span<const int32_t> seen,
                                      const SamplingOptions& options) {
  std::vector<float> biased(logits.begin(), logits.end());
  const auto check = [&](int32_t id) {
    TANREN_CHECK(id >= 0 && static_cast<size_t>(id) < logits.size(), "token {} of {}", id,
                 logits.size());
  };
  for (const auto& [id, bias] : options.logit_bias) {
    check(id);
    biased[id] += bias;
  }
  if (options.repetition_penalty == 1) return biased;
  const auto penalty = static_cast<float>(options.repetition_penalty);
  std::vector<float> result = biased;
  for (int32_t id : seen) {  // from `biased`: a token that is there twice is penalised once
    check(id);
    result[id] = biased[id] > 0 ? biased[id] / penalty : biased[id] * penalty;
  }
  return result;
}

// The tokens that top_k leaves; the likeliest first where top_k or top_p apply.
std::vector<int32_t> Candidates(std::span<const float> logits, const SamplingOptions& options) {
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
  return order;
}

// How many of the first weights reach `share` of their sum.
size_t CountReaching(double share, const std::vector<double>& weights) {
  const double wanted = share * std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    if (sum >= wanted) return i + 1;
  }
  return weights.size();
}

// Leaves out the tokens whose weight, relative to the likeliest's, is below `least` or 0.
void DropUnlikely(double least, TokenChoices& choices, std::vector<double>& weights) {
  size_t kept = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] < least || weights[i] == 0) continue;
    choices.ids[kept] = choices.ids[i];
    weights[kept++] = weights[i];
  }
  choices.ids.resize(kept);
  weights.resize(kept);
}

TokenChoices ChoicesOfProcessed(std::span<const float> logits, const SamplingOptions& options) {
  const int32_t likeliest = Likeliest(logits);
  if (options.temperature == 0) return {{likeliest}, {1.0}};
  TokenChoices choices{Candidates(logits, options), {}};
  std::vector<double>& weights = choices.probabilities;  // the likeliest's is 1
  const double highest = logits[likeliest];
  for (int32_t id : choices.ids) {
    weights.push_back(std::exp((logits[id] - highest) / options.temperature));
  }
  if (options.top_p < 1) {
    const size_t kept = CountReaching(options.top_p, weights);
    choices.ids.resize(kept);
    weights.resize(kept);
  }
  DropUnlikely(options.min_p, choices, weights);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return choices;
}

}  // namespace

TokenChoices ChoicesOf(std::span<const float> logits, std::span<const int32_t> seen,
                       const SamplingOptions& options) {
  TANREN_CHECK(!logits.empty(), "no logits to sample from");
  for (float logit : logits) TANREN_CHECK(!std::isnan(logit), "a logit is not a number");
  if (!ChangesLogits(options)) return ChoicesOfProcessed(logits, options);
  return ChoicesOfProcessed(BiasedAndPenalised(logits, seen, options), options);
}

int32_t SampleToken(std::span<const float> logits, std::span<const int32_t> seen,
                    const SamplingOptions& options, uint32_t sequence, uint32_t position) {
  RandomStream random(options.seed, RandomPurpose::kSampling, sequence, position);
  const double drawn = random.NextUniform();
  if (DrawsFromAll(options)) {
    return static_cast<int32_t>(kernels::DrawFromRow(logits, options.temperature, drawn));
  }
  const TokenChoices choices = ChoicesOf(logits, seen, options);
  double sum = 0;
  for (size_t i = 0; i + 1 < choices.ids.size(); ++i) {
    sum += choices.probabilities[i];
    if (drawn < sum) return choices.ids[i];
  }
  return choices.ids.back();
}

}  // namespace tanren::trainer
