#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "parallel/optimizer/adamw.h"
#include "parallel/optimizer/sgd.h"
#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

// Two shards, the first with decay on part of it. Gradients change from step to step.
std::vector<TrainableShard> MakeShards() {
  at::manual_seed(7);
  return {{"one", at::randn({70}), at::zeros({70}), {{3, 20}, {30, 64}}},
          {"two", at::randn({13}), at::zeros({13}), {}}};
}

at::Tensor GradientOf(size_t shard, int step, int64_t numel) {
  return at::sin(at::arange(numel, at::kFloat) * (0.3 + 0.1 * step) + static_cast<double>(shard));
}

bool Decays(const TrainableShard& shard, int64_t element) {
  for (const ElementRange& range : shard.decayed) {
    if (element >= range.begin && element < range.end) return true;
  }
  return false;
}

// The formula of one element over several steps, in fp64.
double AdamWByHand(double value, bool decays, const AdamWOptions& options, double rate,
                   const std::vector<double>& gradients) {
  double mean = 0, square = 0;
  for (size_t t = 1; t <= gradients.size(); ++t) {
    const double gradient = gradients[t - 1];
    if (decays) value -= rate * options.weight_decay * value;
    mean = options.beta1 * mean + (1 - options.beta1) * gradient;
    square = options.beta2 * square + (1 - options.beta2) * gradient * gradient;
    const double corrected_mean = mean / (1 - std::pow(options.beta1, t));
    const double corrected_square = square / (1 - std::pow(options.beta2, t));
    value -= rate * corrected_mean / (std::sqrt(corrected_square) + options.epsilon);
  }
  return value;
}

TEST(AdamW, FollowsItsFormulaWithDecayOnlyWhereItApplies) {
  std::vector<TrainableShard> shards = MakeShards();
  const std::vector<TrainableShard> start = {{"", shards[0].master.clone(), {}, shards[0].decayed},
                                             {"", shards[1].master.clone(), {}, {}}};
  const AdamWOptions options{0.9, 0.95, 1e-3, 0.1};
  AdamW optimizer(shards, options);
  const int steps = 5;
  const double scale = 0.5, rate = 0.01;
  for (int step = 0; step < steps; ++step) {
    for (size_t s = 0; s < shards.size(); ++s) {
      shards[s].gradient.copy_(GradientOf(s, step, shards[s].gradient.numel()));
    }
    optimizer.Step(rate, scale);
  }
  EXPECT_EQ(optimizer.steps_taken(), steps);
  for (size_t s = 0; s < shards.size(); ++s) {
    for (int64_t i = 0; i < shards[s].master.numel(); ++i) {
      std::vector<double> gradients;
      for (int step = 0; step < steps; ++step) {
        gradients.push_back(scale *
                            GradientOf(s, step, shards[s].master.numel())[i].item<double>());
      }
      const double expected = AdamWByHand(start[s].master[i].item<double>(), Decays(start[s], i),
                                          options, rate, gradients);
      EXPECT_NEAR(shards[s].master[i].item<double>(), expected, 2e-6) << s << " " << i;
    }
  }
}

TEST(Sgd, FollowsItsFormula) {
  for (bool nesterov : {false, true}) {
    for (double momentum : {0.0, 0.8}) {
      if (nesterov && momentum == 0) continue;
      std::vector<TrainableShard> shards = MakeShards();
      std::vector<at::Tensor> expected, buffers, decay;
      for (const TrainableShard& shard : shards) {
        expected.push_back(shard.master.clone());
        buffers.push_back(at::zeros_like(shard.master));
        decay.push_back(at::zeros_like(shard.master));
        for (const ElementRange& range : shard.decayed) {
          decay.back().narrow(0, range.begin, range.size()).fill_(0.1);
        }
      }
      Sgd optimizer(shards, {momentum, 0.1, nesterov});
      for (int step = 0; step < 4; ++step) {
        for (size_t s = 0; s < shards.size(); ++s) {
          const at::Tensor given = GradientOf(s, step, shards[s].gradient.numel());
          shards[s].gradient.copy_(given);
          const at::Tensor gradient = given * 2 + decay[s] * expected[s];
          buffers[s] = momentum * buffers[s] + gradient;
          expected[s] =
              expected[s] - 0.05 * (nesterov ? gradient + momentum * buffers[s] : buffers[s]);
        }
        optimizer.Step(0.05, 2.0);
      }
      for (size_t s = 0; s < shards.size(); ++s) {
        EXPECT_TRUE(at::allclose(shards[s].master, expected[s], 1e-5, 1e-6))
            << "momentum " << momentum << " nesterov " << nesterov << " shard " << s;
      }
    }
  }
}

TEST(Optimizer, GoesOnExactlyFromSavedState) {
  std::vector<TrainableShard> through = MakeShards();
  AdamW uninterrupted(through, {});
  std::vector<TrainableShard> stopped = MakeShards();
  AdamW before(stopped, {});
  const auto step = [](std::vector<TrainableShard>& shards, Optimizer& optimizer, int number) {
    for (size_t s = 0; s < shards.size(); ++s) {
      shards[s].gradient.copy_(GradientOf(s, number, shards[s].gradient.numel()));
    }
    optimizer.Step(0.01, 1.0);
  };
  for (int i = 0; i < 6; ++i) step(through, uninterrupted, i);
  for (int i = 0; i < 3; ++i) step(stopped, before, i);

  AdamW after(stopped, {});
  after.set_steps_taken(before.steps_taken());
  const std::vector<OptimizerState> saved = before.State();
  std::vector<OptimizerState> loaded = after.State();
  ASSERT_EQ(saved.size(), 4u);
  for (size_t i = 0; i < saved.size(); ++i) {
    ASSERT_EQ(saved[i].name, loaded[i].name);
    ASSERT_EQ(saved[i].shard, loaded[i].shard);
    loaded[i].values.copy_(saved[i].values);
  }
  for (int i = 3; i < 6; ++i) step(stopped, after, i);
  for (size_t s = 0; s < through.size(); ++s) {
    EXPECT_TRUE(at::equal(through[s].master, stopped[s].master));
  }
}

TEST(Optimizer, AStepIsSeenByTheMastersVersion) {
  std::vector<TrainableShard> shards = MakeShards();
  AdamW optimizer(shards, {});
  const auto before = shards[1].master._version();
  optimizer.Step(0.1, 1.0);
  EXPECT_GT(shards[1].master._version(), before);
}

TEST(Optimizer, ShardsThatDoNotFitAreErrors) {
  const at::Tensor flat = at::zeros({4});
  EXPECT_THROW(Sgd({{"a", flat, at::zeros({5}), {}}}, {}), Error);
  EXPECT_THROW(Sgd({{"a", flat.to(at::kDouble), flat, {}}}, {}), Error);
  EXPECT_THROW(Sgd({{"a", flat, flat, {{2, 5}}}}, {}), Error);
  EXPECT_THROW(Sgd({{"a", flat, flat, {{2, 3}, {1, 2}}}}, {}), Error);
}

}  // namespace
}  // namespace tanren::parallel
