#include "trainer/rollout/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

constexpr int kDraws = 20000;

std::map<int32_t, double> Frequencies(const std::vector<float>& logits,
                                      const SamplingOptions& options) {
  std::map<int32_t, double> share;
  for (uint32_t draw = 0; draw < kDraws; ++draw) {
    share[SampleToken(logits, {}, options, draw, 0)] += 1.0 / kDraws;
  }
  return share;
}

// Four standard deviations of a share near `p`.
double Slack(double p) { return 4 * std::sqrt(p * (1 - p) / kDraws); }

TEST(Sampler, TemperatureZeroTakesTheLikeliestTheLowestAmongEquals) {
  EXPECT_EQ(SampleToken(std::vector<float>{1, 3, 3, 2}, {}, {}, 0, 0), 1);
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

TEST(Sampler, MinPKeepsTheTokensNearTheLikeliest) {
  const std::vector<float> logits = {std::log(0.1f), std::log(0.6f), std::log(0.3f)};
  SamplingOptions options;
  options.temperature = 1;
  options.min_p = 0.4;  // of 0.6 it is 0.24
  const auto share = Frequencies(logits, options);
  EXPECT_EQ(share.size(), 2u);
  EXPECT_NEAR(share.at(2), 1.0 / 3, Slack(1.0 / 3));
}

TEST(Sampler, BiasAndPenaltyChangeTheLikeliestToo) {
  const std::vector<float> logits = {2, 3, 1};
  SamplingOptions options;
  options.repetition_penalty = 2;
  EXPECT_EQ(SampleToken(logits, {}, options, 0, 0), 1);
  EXPECT_EQ(SampleToken(logits, std::vector<int32_t>{1}, options, 0, 0), 0);
  // Once, not twice: 3 / 2 is above 1.
  EXPECT_EQ(SampleToken(logits, std::vector<int32_t>{0, 1, 1}, options, 0, 0), 1);
  options.logit_bias = {{2, 5.0f}};
  EXPECT_EQ(SampleToken(logits, {}, options, 0, 0), 2);
}

TEST(Sampler, ABannedTokenIsNoChoice) {
  SamplingOptions options;
  options.temperature = 1;
  options.logit_bias = {{2, -1e30f}};
  EXPECT_EQ(ChoicesOf(std::vector<float>{0, 0, 9}, {}, options).ids, (std::vector<int32_t>{0, 1}));
}

TEST(Sampler, AnIdOutsideOfTheVocabularyIsAnError) {
  SamplingOptions options;
  options.logit_bias = {{2, 1.0f}};
  EXPECT_THROW(ChoicesOf(std::vector<float>{0, 1}, {}, options), Error);
  options = {};
  options.repetition_penalty = 2;
  EXPECT_THROW(ChoicesOf(std::vector<float>{0, 1}, std::vector<int32_t>{-1}, options), Error);
}

SamplingOptions OptionsOf(const nlohmann::json& json) {
  SamplingOptions options;
  options.temperature = json.at("temperature");
  options.top_k = json.value("top_k", 0);
  options.top_p = json.value("top_p", 1.0);
  options.min_p = json.value("min_p", 0.0);
  options.repetition_penalty = json.value("repetition_penalty", 1.0);
  if (!json.contains("logit_bias")) return options;
  for (const auto& [id, bias] : json["logit_bias"].items()) {
    options.logit_bias[std::stoi(id)] = bias.get<float>();
  }
  return options;
}

TEST(Sampler, LeavesTheTokensAndProbabilitiesThatTransformersLeaves) {
  std::ifstream file("tests/golden/sampling/cases.json");
  const nlohmann::json cases = nlohmann::json::parse(file);
  ASSERT_GE(cases.size(), 20u);
  for (const nlohmann::json& one : cases) {
    const TokenChoices choices =
        ChoicesOf(one["logits"].get<std::vector<float>>(), one["seen"].get<std::vector<int32_t>>(),
                  OptionsOf(one["options"]));
    std::map<int32_t, double> found, expected;
    for (size_t i = 0; i < choices.ids.size(); ++i) {
      found[choices.ids[i]] = std::log(choices.probabilities[i]);
    }
    for (size_t i = 0; i < one["kept"].size(); ++i) {
      expected[one["kept"][i]] = one["log_probabilities"][i];
    }
    ASSERT_EQ(found.size(), expected.size()) << one["options"];
    for (const auto& [id, log_probability] : expected) {
      ASSERT_TRUE(found.contains(id)) << one["options"] << " token " << id;
      // The peer divides by the temperature in fp32, which a logit of 16 gives 1e-6.
      EXPECT_NEAR(found[id], log_probability, 5e-6) << one["options"] << " token " << id;
    }
  }
}

TEST(Sampler, ADrawIsAFunctionOfSeedSequenceAndPosition) {
  const std::vector<float> logits(1000, 0.0f);
  SamplingOptions options;
  options.temperature = 1;
  options.seed = 7;
  const int32_t drawn = SampleToken(logits, {}, options, 3, 5);
  EXPECT_EQ(SampleToken(logits, {}, options, 3, 5), drawn);
  EXPECT_NE(SampleToken(logits, {}, options, 3, 6), drawn);
  EXPECT_NE(SampleToken(logits, {}, options, 4, 5), drawn);
  options.seed = 8;
  EXPECT_NE(SampleToken(logits, {}, options, 3, 5), drawn);
}

// Where nothing is left out, no list of choices is made; top_k = all of them makes one.
TEST(Sampler, ADrawFromAllTokensIsTheDrawFromTheirChoices) {
  std::vector<float> logits(1003);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = 4 * std::sin(static_cast<float>(i));
  logits[5] = logits.back() = -std::numeric_limits<float>::infinity();
  for (const double temperature : {0.05, 1.0, 30.0}) {
    SamplingOptions all, listed;
    all.temperature = listed.temperature = temperature;
    listed.top_k = static_cast<int>(logits.size());
    for (uint32_t position = 0; position < 300; ++position) {
      EXPECT_EQ(SampleToken(logits, {}, all, 1, position),
                SampleToken(logits, {}, listed, 1, position));
    }
  }
}

TEST(Sampler, NotANumberIsAnError) {
  for (const double temperature : {0, 1}) {
    SamplingOptions options;
    options.temperature = temperature;
    const std::vector<float> logits = {0, std::numeric_limits<float>::quiet_NaN(), 1};
    EXPECT_THROW(SampleToken(logits, {}, options, 0, 0), Error);
  }
}

}  // namespace
}  // namespace tanren::trainer
