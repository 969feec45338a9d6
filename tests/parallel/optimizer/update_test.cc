#include "parallel/optimizer/update.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "parallel/optimizer/gradient_norm.h"
#include "parallel/optimizer/sgd.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"

namespace tanren::parallel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Large enough for several blocks of the sum; 1, 2 or 4 ranks hold equal parts.
constexpr int64_t kNumel = 4 * 50'000;

at::Tensor WholeGradient() { return at::sin(at::arange(kNumel, at::kFloat)); }

TEST(GradientNorm, IsThatOfTheWholeOnAnyNumberOfRanks) {
  const double expected = WholeGradient().to(at::kDouble).norm().item<double>();
  for (int ranks : {1, 2, 4}) {
    comm::RunRanks(ranks, [&](comm::Communicator& world) {
      const at::Tensor part = WholeGradient().chunk(ranks)[world.rank()].contiguous();
      const auto halves = part.chunk(2);
      const GradientNorm found =
          GlobalGradientNorm({{"a", halves[0].clone(), halves[0].clone(), {}},
                              {"b", halves[1].clone(), halves[1].clone(), {}}},
                             world);
      EXPECT_NEAR(found.norm, expected, 1e-9 * expected);
      EXPECT_TRUE(found.finite());
    });
  }
}

TEST(GradientNorm, EveryRankNamesTheGroupThatIsNotFinite) {
  comm::RunRanks(2, [](comm::Communicator& world) {
    const at::Tensor good = at::full({100}, 1e38);
    at::Tensor bad = good.clone();
    if (world.rank() == 1) bad[17] = std::numeric_limits<float>::quiet_NaN();
    at::Tensor infinite = good.clone();
    if (world.rank() == 0) infinite[99] = std::numeric_limits<float>::infinity();
    const GradientNorm found = GlobalGradientNorm(
        {{"fine", good, good, {}}, {"layer 3", bad, bad, {}}, {"layer 4", infinite, infinite, {}}},
        world);
    EXPECT_THAT(found.not_finite, ElementsAre("layer 3", "layer 4"));
  });
}

TEST(ClipFactor, IsTorchs) {
  EXPECT_EQ(ClipFactor(0.5, 1.0), 1.0);
  EXPECT_EQ(ClipFactor(0.0, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(ClipFactor(4.0, 1.0), 1.0 / (4.0 + 1e-6));
}

std::vector<TrainableShard> OneShard(std::vector<float> gradient) {
  const at::Tensor values = at::tensor(gradient);
  return {{"layer 0", at::ones_like(values), values, {}}};
}

TEST(Update, ClipsToTheGlobalNorm) {
  const auto world = comm::SingleRank();
  const auto shards = OneShard({3, 4});
  Sgd optimizer(shards, {});
  const UpdateOutcome outcome =
      UpdateParameters(optimizer, *world, 0.1, {.max_norm = 1.0}, nullptr);
  EXPECT_DOUBLE_EQ(outcome.gradient_norm, 5);
  EXPECT_FALSE(outcome.skipped());
  EXPECT_TRUE(at::allclose(shards[0].master, at::tensor({1 - 0.06f, 1 - 0.08f}), 0, 1e-6));
}

TEST(Update, ANotFiniteGradientIsAnErrorThatNamesItsGroupOrIsSkipped) {
  const auto world = comm::SingleRank();
  const auto shards = OneShard({3, std::numeric_limits<float>::quiet_NaN()});
  Sgd optimizer(shards, {});
  try {
    UpdateParameters(optimizer, *world, 0.1, {}, nullptr);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("layer 0"));
  }
  const auto outcome = UpdateParameters(optimizer, *world, 0.1, {.skip_not_finite = true}, nullptr);
  EXPECT_THAT(outcome.not_finite, ElementsAre("layer 0"));
  EXPECT_TRUE(at::equal(shards[0].master, at::ones({2})));
  EXPECT_EQ(optimizer.steps_taken(), 0);
}

TEST(Update, WhereManyGroupsAreNotFiniteTheErrorNamesTheFirst) {
  const auto world = comm::SingleRank();
  std::vector<TrainableShard> shards;
  const at::Tensor bad = at::full({2}, std::numeric_limits<float>::quiet_NaN());
  for (int i = 0; i < 30; ++i) shards.push_back({fmt::format("layer {}", i), bad, bad, {}});
  Sgd optimizer(shards, {});
  try {
    UpdateParameters(optimizer, *world, 0.1, {}, nullptr);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(
        error.what(),
        HasSubstr("gradients of layer 0, layer 1, layer 2 and 27 more are NaN or infinite"));
  }
}

TEST(Update, ScaledGradientsGiveTheStepOfUnscaledOnes) {
  const auto world = comm::SingleRank();
  LossScaler scaler({.initial = 1024});
  const auto shards = OneShard({3 * 1024, 4 * 1024});
  Sgd optimizer(shards, {});
  const auto outcome = UpdateParameters(optimizer, *world, 0.1, {.max_norm = 2.5}, &scaler);
  EXPECT_DOUBLE_EQ(outcome.gradient_norm, 5);
  EXPECT_TRUE(at::allclose(shards[0].master, at::tensor({0.85f, 0.8f}), 0, 1e-6));
}

TEST(Update, OverflowUnderScalingIsSkippedUntilTheScaleIsSmallest) {
  const auto world = comm::SingleRank();
  LossScaler scaler({.initial = 4, .smallest = 1});
  const auto shards = OneShard({std::numeric_limits<float>::infinity()});
  Sgd optimizer(shards, {});
  EXPECT_TRUE(UpdateParameters(optimizer, *world, 0.1, {}, &scaler).skipped());
  EXPECT_TRUE(UpdateParameters(optimizer, *world, 0.1, {}, &scaler).skipped());
  EXPECT_EQ(scaler.scale(), 1);
  EXPECT_THROW(UpdateParameters(optimizer, *world, 0.1, {}, &scaler), Error);
}

TEST(LossScaler, GrowsAfterGoodStepsInARowAndBacksOff) {
  LossScaler scaler({.initial = 8, .growth_interval = 3});
  const bool finite[] = {true, true, false, true, true, true, true};
  const double scales[] = {8, 8, 4, 4, 4, 8, 8};
  for (size_t i = 0; i < std::size(finite); ++i) {
    scaler.Update(finite[i]);
    EXPECT_EQ(scaler.scale(), scales[i]) << i;
  }
  EXPECT_EQ(scaler.state(), (LossScaler::State{8, 1}));
}

}  // namespace
}  // namespace tanren::parallel
