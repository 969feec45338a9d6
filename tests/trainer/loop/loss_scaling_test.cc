// The loop with a loss scaler, and with steps whose gradients are not finite.
#include <ATen/ATen.h>

#include <limits>
#include <memory>

#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "tests/trainer/loop/small_training.h"
#include "trainer/loop/training_loop.h"

namespace tanren::trainer {
namespace {

bool Same(const Tensors& a, const Tensors& b) {
  for (const auto& [name, value] : a) {
    if (!at::equal(value, b.at(name))) return false;
  }
  return a.size() == b.size();
}

struct Outcome {
  std::vector<StepReport> reports;  // of rank 0
  Tensors parameters;
};

Outcome Train(int ranks, std::optional<parallel::LossScaler::Options> scaling, int64_t steps) {
  Outcome outcome;
  comm::RunRanks(ranks, [&](comm::Communicator& world) {
    SmallTraining training(world, 2);
    if (scaling) training.scaler.emplace(*scaling);
    std::vector<StepReport> reports;
    training.Run(0, steps, ListOf(std::make_unique<Reports>(&reports)));
    Tensors parameters = training.engine.GatherAll();
    if (world.rank() == 0) outcome = {std::move(reports), std::move(parameters)};
  });
  return outcome;
}

TEST(LossScaling, ScalesWhatFlowsBackAndNothingElse) {
  const Outcome plain = Train(2, std::nullopt, 4);
  const Outcome scaled = Train(2, {{.initial = 4096, .growth_interval = 2}}, 4);
  const double scales[] = {4096, 4096, 8192, 8192};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(scaled.reports[i].loss_scale, scales[i]) << "the scale that the step had";
    // A power of two: no rounding differs.
    EXPECT_EQ(scaled.reports[i].loss, plain.reports[i].loss);
    EXPECT_NEAR(scaled.reports[i].gradient_norm, plain.reports[i].gradient_norm, 1e-9);
    EXPECT_EQ(plain.reports[i].loss_scale, 1);
  }
  EXPECT_TRUE(Same(scaled.parameters, plain.parameters));
}

TEST(LossScaling, AnOverflowSkipsTheStepBacksOffAndIsReported) {
  // 1e42 is beyond fp32, 1e4 isn't.
  const parallel::LossScaler::Options scaling{.initial = 1e42, .backoff = 1e-38};
  const Outcome untrained = Train(2, std::nullopt, 0);
  const Outcome skipped = Train(2, scaling, 1);
  ASSERT_EQ(skipped.reports.size(), 1u);
  EXPECT_TRUE(skipped.reports[0].skipped);
  EXPECT_EQ(skipped.reports[0].loss_scale, 1e42);
  EXPECT_NEAR(skipped.reports[0].loss, Train(2, std::nullopt, 1).reports[0].loss, 1e-9);
  EXPECT_TRUE(Same(skipped.parameters, untrained.parameters));

  const Outcome next = Train(2, scaling, 2);
  EXPECT_FALSE(next.reports[1].skipped);
  EXPECT_NEAR(next.reports[1].loss_scale, 1e4, 1e-6);
  EXPECT_FALSE(Same(next.parameters, untrained.parameters));
}

// A loss that on one rank has no finite derivative in the second step.
class BreaksOnce final : public Objective {
 public:
  BreaksOnce(bool breaks, int* calls) : breaks_(breaks), calls_(calls) {}
  parallel::HeadResult LossAndDerivative(const Batch& batch, const HeadInput& head,
                                         double derivative_scale) const override {
    parallel::HeadResult result = NextToken().LossAndDerivative(batch, head, derivative_scale);
    if (++*calls_ == 2 && breaks_) result.d_hidden.fill_(std::numeric_limits<float>::infinity());
    return result;
  }

 private:
  bool breaks_;
  int* calls_;
};

std::vector<StepReport> TrainBreaking(const parallel::UpdateOptions& update) {
  std::vector<StepReport> reports;
  comm::RunRanks(2, [&](comm::Communicator& world) {
    SmallTraining training(world);
    int calls = 0;
    const BreaksOnce objective(world.rank() == 1, &calls);
    std::vector<StepReport> mine;
    TrainingLoop({world, training.engine, training.optimizer, nullptr, training.source, objective},
                 {3, {.peak = 0.5}, update}, ListOf(std::make_unique<Reports>(&mine)),
                 [] { return false; })
        .Run(0);
    if (world.rank() == 0) reports = std::move(mine);
  });
  return reports;
}

TEST(LossScaling, WithoutAScalerSuchAStepIsSkippedWhereTheOptionsSaySo) {
  const std::vector<StepReport> reports = TrainBreaking({.skip_not_finite = true});
  ASSERT_EQ(reports.size(), 3u);
  EXPECT_FALSE(reports[0].skipped);
  EXPECT_TRUE(reports[1].skipped);
  EXPECT_FALSE(reports[2].skipped);
  EXPECT_TRUE(std::isfinite(reports[2].loss));
}

TEST(LossScaling, WithoutAScalerSuchAStepIsElseAnError) { EXPECT_THROW(TrainBreaking({}), Error); }

}  // namespace
}  // namespace tanren::trainer
