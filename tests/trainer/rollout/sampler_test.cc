#include "trainer/rollout/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

constexpr int kDraws = 20000;

std::map<int32_t, double> Frequencies(const std::vector<float>& logits,
                                      const SamplingOptions& options) {
  std::map<int32_t, double> share;
  for (uint32_t draw = 0; draw < kDraws; ++draw) {
    share[SampleToken(logits, options, draw, 0)] += 1.0 / kDraws;
  }
  return share;
}

// Four standard deviations of a share near `p`.
double Slack(double p) { return 4 * std::sqrt(p * (1 - p) / kDraws); }

TEST(Sampler, TemperatureZeroTakesTheLikeliestTheLowestAmongEquals) {
  EXPECT_EQ(SampleToken(std::vector<float>{1, 3, 3, 2}, {}, 0, 0), 1);
}

TEST(Sampler, DrawsFollowTheSoftmaxAtTheTemperature) {
  const std::vector<float> logits = {0, 1, 2};
  SamplingOptions options;
  options.temperature = 2;
  const double sum = 1 + std::exp(0.5) + std::exp(1.0);
  const auto share = Frequencies(logits, options);
  for (int32_t token = 0; token < 3; ++token) {
    const double p = std::exp(logits[token] / 2) / sum;
    EXPECT_NEAR(share.at(token), p, Slack(p));
  }
}

TEST(Sampler, TopKKeepsTheKLikeliestInTheirProportion) {
  SamplingOptions options;
  options.temperature = 1;
  options.top_k = 2;
  const auto share = Frequencies({0, 5, 1, 5}, options);
  EXPECT_EQ(share.size(), 2u);
  EXPECT_NEAR(share.at(1), 0.5, Slack(0.5));
  EXPECT_NEAR(share.at(3), 0.5, Slack(0.5));
}

TEST(Sampler, TopPKeepsTheFewestThatReachTheProbability) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f),
                                     std::log(0.05f)};
  SamplingOptions options;
  options.temperature = 1;
  options.top_p = 0.7;  // 0.5 isn't enough, 0.8 is
  const auto share = Frequencies(logits, options);
  EXPECT_EQ(share.size(), 2u);
  EXPECT_NEAR(share.at(0), 0.625, Slack(0.625));
  options.top_p = 0.01;
  EXPECT_EQ(Frequencies(logits, options).size(), 1u);
}

TEST(Sampler, ADrawIsAFunctionOfSeedSequenceAndPosition) {
  const std::vector<float> logits(1000, 0.0f);
  SamplingOptions options;
  options.temperature = 1;
  options.seed = 7;
  const int32_t drawn = SampleToken(logits, options, 3, 5);
  EXPECT_EQ(SampleToken(logits, options, 3, 5), drawn);
  EXPECT_NE(SampleToken(logits, options, 3, 6), drawn);
  EXPECT_NE(SampleToken(logits, options, 4, 5), drawn);
  options.seed = 8;
  EXPECT_NE(SampleToken(logits, options, 3, 5), drawn);
}

TEST(Sampler, NotANumberIsAnError) {
  EXPECT_THROW(
      SampleToken(std::vector<float>{0, std::numeric_limits<float>::quiet_NaN()}, {}, 0, 0), Error);
}

}  // namespace
}  // namespace tanren::trainer
