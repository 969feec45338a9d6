#include "parallel/engine/engine.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <stdexcept>

#include "parallel/optimizer/adamw.h"
#include "parallel/optimizer/update.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "tests/parallel/engine/toy_model.h"

namespace tanren::parallel {
namespace {

constexpr AdamWOptions kAdamW{0.9, 0.95, 1e-8, 0.1};
constexpr double kRate = 0.02;
constexpr double kMaxNorm = 0.5;
constexpr int kSteps = 4;

struct Result {
  std::vector<double> losses, norms;
  std::map<std::string, at::Tensor> first_gradients;
  std::map<std::string, at::Tensor> parameters;  // after the last step
};

// Trains by the engine on `ranks` threads; all but the loss is rank 0's.
Result Train(int ranks, int micro_batches, const ToyOptions& toy, const EngineOptions& options,
             int steps = kSteps) {
  Result result;
  result.losses.assign(steps, 0);
  std::mutex mutex;
  comm::RunRanks(ranks, [&](comm::Communicator& world) {
    const ToyModel model = MakeToyModel(toy);
    Engine engine(model.units, model.head, world, options);
    engine.Initialize(5);
    AdamW optimizer(engine.TrainableShards(), kAdamW);
    const int count = kToyDocuments / (ranks * micro_batches);
    for (int step = 0; step < steps; ++step) {
      engine.BeginStep();
      double loss = 0;
      for (int micro = 0; micro < micro_batches; ++micro) {
        const Activations input =
            ToyInput(step, (world.rank() * micro_batches + micro) * count, count);
        loss += engine.ForwardBackward(input, ToyHead(input, ToyWeight())).item<double>();
      }
      engine.FinishStep();
      auto gradients = WholeGradients(engine, world);
      const double norm =
          UpdateParameters(optimizer, world, kRate, {.max_norm = kMaxNorm}, nullptr).gradient_norm;
      const std::lock_guard lock(mutex);
      result.losses[step] += loss;
      if (world.rank() != 0) continue;
      result.norms.push_back(norm);
      if (step == 0) result.first_gradients = std::move(gradients);
    }
    auto parameters = engine.GatherAll();
    if (world.rank() == 0) result.parameters = std::move(parameters);
  });
  return result;
}

// One element-wise formula on whole tensors and one graph: no units' walk, no shards.
Result TrainByOrdinaryAutograd(const ToyOptions& toy) {
  const at::NoGradGuard no_grad;
  const ToyModel model = MakeToyModel(toy);
  std::map<std::string, ParameterSpec> specs;
  for (const auto& unit : model.units) {
    for (const ParameterSpec& spec : unit->parameters()) specs[spec.name] = spec;
  }
  for (const ParameterSpec& spec : model.head) specs[spec.name] = spec;
  Result result;
  const auto world = comm::SingleRank();
  Engine initial(model.units, model.head, *world, {});
  initial.Initialize(5);
  result.parameters = initial.GatherAll();

  std::map<std::string, at::Tensor> means, squares;
  for (int step = 0; step < kSteps; ++step) {
    std::map<std::string, at::Tensor> gradients;
    result.losses.push_back(ReferenceGradients(model, result.parameters, step, &gradients));
    if (step == 0) result.first_gradients = gradients;
    double sum = 0;
    for (const auto& [name, gradient] : gradients) {
      if (specs[name].trainable) sum += gradient.to(at::kDouble).square().sum().item<double>();
    }
    result.norms.push_back(std::sqrt(sum));
    const double clip = std::min(1.0, kMaxNorm / (std::sqrt(sum) + 1e-6));
    for (auto& [name, value] : result.parameters) {
      if (!specs[name].trainable) continue;
      const at::Tensor gradient = gradients[name] * clip;
      if (step == 0) means[name] = at::zeros_like(value), squares[name] = at::zeros_like(value);
      if (specs[name].decay) value = value * (1 - kRate * kAdamW.weight_decay);
      means[name] = means[name] * kAdamW.beta1 + gradient * (1 - kAdamW.beta1);
      squares[name] = squares[name] * kAdamW.beta2 + gradient * gradient * (1 - kAdamW.beta2);
      const at::Tensor mean = means[name] / (1 - std::pow(kAdamW.beta1, step + 1));
      const at::Tensor square = squares[name] / (1 - std::pow(kAdamW.beta2, step + 1));
      value = value - kRate * mean / (square.sqrt() + kAdamW.epsilon);
    }
  }
  return result;
}

void ExpectNear(const std::map<std::string, at::Tensor>& found,
                const std::map<std::string, at::Tensor>& expected, double tolerance) {
  for (const auto& [name, value] : found) {
    ASSERT_TRUE(expected.contains(name)) << name;
    const double difference = (value - expected.at(name)).abs().max().item<double>();
    const double largest = expected.at(name).abs().max().item<double>();
    EXPECT_LE(difference, tolerance * std::max(largest, 1e-3)) << name;
  }
}

void ExpectSameTraining(const Result& found, const Result& expected) {
  for (int step = 0; step < kSteps; ++step) {
    EXPECT_NEAR(found.losses[step], expected.losses[step], 1e-6 * expected.losses[step]) << step;
    EXPECT_NEAR(found.norms[step], expected.norms[step], 2e-6 * expected.norms[step]) << step;
  }
  ExpectNear(found.first_gradients, expected.first_gradients, 1e-6);
  EXPECT_EQ(found.parameters.size(), expected.parameters.size());
  // Adam divides by the root of the square: where gradients are near 0, their rounding shows.
  ExpectNear(found.parameters, expected.parameters, 1e-5);
}

struct Way {
  int ranks;
  int zero_stage;
  Recompute recompute;
  int micro_batches;
  int prefetch_depth;
  bool tied;
};

class EveryWay : public testing::TestWithParam<Way> {};

std::vector<Way> AllWays() {
  std::vector<Way> ways;
  for (int ranks : {1, 2, 4}) {
    for (int stage : {1, 2, 3}) {
      for (Recompute recompute : {Recompute::kNone, Recompute::kFull}) {
        for (int micro_batches : {1, 2}) {
          // Prefetch and tying alternate, so that each meets every other choice.
          const bool odd = (ranks + stage + micro_batches) % 2 != 0;
          ways.push_back({ranks, stage, recompute, micro_batches, odd ? 1 : 0, true});
          ways.push_back({ranks, stage, recompute, micro_batches, odd ? 0 : 1, false});
        }
      }
    }
  }
  return ways;
}

TEST_P(EveryWay, TrainsLikeOneOrdinaryGraph) {
  const Way& way = GetParam();
  static const Result* const expected[2] = {new Result(TrainByOrdinaryAutograd({.tied = false})),
                                            new Result(TrainByOrdinaryAutograd({.tied = true}))};
  const Result found = Train(way.ranks, way.micro_batches,
                             {.tied = way.tied, .sparse_embedding = way.prefetch_depth == 1},
                             {.zero_stage = way.zero_stage,
                              .recompute = way.recompute,
                              .prefetch_depth = way.prefetch_depth,
                              .fill_released_with_nan = true});
  EXPECT_EQ(found.first_gradients.size(), expected[way.tied]->first_gradients.size());
  ExpectSameTraining(found, *expected[way.tied]);
}

INSTANTIATE_TEST_SUITE_P(All, EveryWay, testing::ValuesIn(AllWays()), [](const auto& info) {
  const Way& way = info.param;
  return fmt::format("Ranks{}Zero{}{}Micro{}Prefetch{}{}", way.ranks, way.zero_stage,
                     way.recompute == Recompute::kFull ? "Recompute" : "", way.micro_batches,
                     way.prefetch_depth, way.tied ? "Tied" : "Untied");
});

TEST(Engine, RowsOfASparseGradientAreSummedInFp32BeforeTheyAreRounded) {
  // Documents repeat tokens, so rows are added to several times.
  const auto gradient = [](int ranks, bool sparse) {
    return Train(ranks, 2, {.tied = false, .sparse_embedding = sparse},
                 {.gradient_dtype = at::kBFloat16}, 1)
        .first_gradients["embed.weight"];
  };
  for (int ranks : {1, 2}) {
    const at::Tensor found = gradient(ranks, true), expected = gradient(1, false);
    const double error = (found - expected).abs().max().item<double>();
    EXPECT_LE(error, expected.abs().max().item<double>() / 128) << ranks;
    EXPECT_GT(expected.abs().max().item<double>(), 0);
  }
}

TEST(Engine, FillingReleasedWeightsWithNanChangesNothing) {
  const Result plain = Train(2, 2, {}, {.fill_released_with_nan = false});
  const Result filled = Train(2, 2, {}, {.fill_released_with_nan = true});
  EXPECT_EQ(plain.losses, filled.losses);
  for (const auto& [name, value] : plain.parameters) {
    EXPECT_TRUE(at::equal(value, filled.parameters.at(name))) << name;
  }
}

TEST(Engine, FrozenUnitsStayAndTheOthersTrainLikeOneOrdinaryGraph) {
  for (int frozen : {1, 2, 4}) {
    const ToyOptions toy{.tied = false, .frozen_units = frozen};
    const Result expected = TrainByOrdinaryAutograd(toy);
    const Result found = Train(2, 1, toy, {.fill_released_with_nan = true});
    ExpectSameTraining(found, expected);
    EXPECT_FALSE(found.first_gradients.contains("embed.weight"));
    EXPECT_TRUE(found.first_gradients.contains("norm.weight"));
    EXPECT_TRUE(
        at::equal(found.parameters.at("embed.weight"), expected.parameters.at("embed.weight")));
  }
}

TEST(Engine, OnlyTheHeadTrainsAboveAFrozenModel) {
  const ToyOptions toy{.tied = false, .frozen_units = 5};
  const Result found = Train(2, 1, toy, {});
  EXPECT_EQ(found.first_gradients.size(), 1u);
  ExpectSameTraining(found, TrainByOrdinaryAutograd(toy));
}

TEST(Engine, LowPrecisionComputesOverFp32Masters) {
  const Result expected = Train(1, 1, {}, {});
  for (at::ScalarType gradients : {at::kFloat, at::kBFloat16}) {
    const Result found =
        Train(2, 1, {}, {.compute_dtype = at::kBFloat16, .gradient_dtype = gradients});
    for (int step = 0; step < kSteps; ++step) {
      EXPECT_NEAR(found.losses[step], expected.losses[step], 0.02 * expected.losses[step]);
      EXPECT_NE(found.losses[step], expected.losses[step]);
    }
    EXPECT_EQ(found.parameters.at("norm.weight").scalar_type(), at::kBFloat16);
  }
}

TEST(Engine, WeightsStartTheSameOnAnyNumberOfRanks) {
  const Result one = Train(1, 1, {}, {}, /*steps=*/0);
  for (int ranks : {2, 4}) {
    const Result several = Train(ranks, 1, {}, {}, /*steps=*/0);
    for (const auto& [name, value] : one.parameters) {
      EXPECT_TRUE(at::equal(value, several.parameters.at(name))) << name;
    }
  }
  EXPECT_TRUE(at::equal(one.parameters.at("norm.weight"), at::ones({12})));
  const at::Tensor embedding = one.parameters.at("embed.weight");
  EXPECT_NEAR(embedding.std().item<double>(), 0.3, 0.03);
  EXPECT_NEAR(embedding.mean().item<double>(), 0, 0.05);
  EXPECT_FALSE(at::equal(one.parameters.at("layers.0.linear.weight"),
                         one.parameters.at("layers.1.linear.weight")));
}

TEST(Engine, LoadingAsksForThisRanksPiecesOnly) {
  comm::RunRanks(2, [](comm::Communicator& world) {
    const ToyModel model = MakeToyModel({});
    Engine engine(model.units, model.head, world, {});
    std::map<std::string, int64_t> asked;
    engine.LoadParameters(
        [&](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
          ASSERT_EQ(end - begin, static_cast<int64_t>(values.size()));
          for (int64_t i = begin; i < end; ++i) values[i - begin] = static_cast<float>(i);
          asked[name] += end - begin;
        });
    const at::Tensor total = at::zeros({}, at::kLong);
    for (const auto& [name, count] : asked) total.add_(count);
    const int64_t mine = total.item<int64_t>();
    world.AllReduce(total, comm::ReduceOp::kSum, "test")->Wait();
    EXPECT_LT(mine, total.item<int64_t>());
    int64_t all = 0;
    for (const auto& [name, value] : engine.GatherAll()) {
      all += value.numel();
      EXPECT_TRUE(at::equal(value.flatten(), at::arange(value.numel(), at::kFloat))) << name;
    }
    EXPECT_EQ(total.item<int64_t>(), all);
  });
}

TEST(Engine, EvaluationSeesTheWeightsOfTheLastStepAtEveryStage) {
  std::vector<double> losses;
  for (int stage : {1, 2, 3}) {
    const auto world = comm::SingleRank();
    const ToyModel model = MakeToyModel({});
    Engine engine(model.units, model.head, *world, {.zero_stage = stage});
    engine.Initialize(1);
    AdamW optimizer(engine.TrainableShards(), kAdamW);
    const Activations input = ToyInput(0, 0, kToyDocuments);
    const auto evaluate = [&] {
      double loss = 0;
      engine.Forward(input, [&](const at::Tensor& hidden, std::span<const at::Tensor> head) {
        EXPECT_FALSE(hidden.requires_grad());
        loss = ToyLoss(hidden, head[0], input, ToyWeight()).item<double>();
      });
      return loss;
    };
    const double before = evaluate();
    engine.BeginStep();
    EXPECT_NEAR(engine.ForwardBackward(input, ToyHead(input, ToyWeight())).item<double>(), before,
                1e-6);
    engine.FinishStep();
    EXPECT_NEAR(evaluate(), before, 1e-6);
    UpdateParameters(optimizer, *world, kRate, {}, nullptr);
    losses.push_back(evaluate());
    EXPECT_LT(losses.back(), before);
  }
  EXPECT_NEAR(losses[0], losses[2], 1e-6);
  EXPECT_NEAR(losses[1], losses[2], 1e-6);
}

// How many groups have their whole weights in memory.
int CountGathered(const Engine& engine) {
  int count = 0;
  for (const auto& group : engine.groups()) {
    if (group->parameters().front().storage().nbytes() > 0) ++count;
  }
  return count;
}

TEST(Engine, Zero3HoldsTheWeightsOfNeighboursOnly) {
  const auto world = comm::SingleRank();
  const ToyModel model = MakeToyModel({.blocks = 10});
  for (int depth : {0, 1}) {
    Engine engine(model.units, model.head, *world, {.prefetch_depth = depth});
    engine.Initialize(1);
    const Activations input = ToyInput(0, 0, 2);
    const HeadFunction head = ToyHead(input, 1);
    engine.BeginStep();
    engine.ForwardBackward(input, [&](const at::Tensor& hidden, auto parameters, auto gradients) {
      EXPECT_EQ(CountGathered(engine), 2);  // the head's and the last unit's
      return head(hidden, parameters, gradients);
    });
    EXPECT_EQ(CountGathered(engine), 0);
    engine.Forward(input);
    EXPECT_EQ(CountGathered(engine), 0);
  }
}

TEST(Engine, AStepThatFailedLeavesNothingInTheNext) {
  const auto world = comm::SingleRank();
  const ToyModel model = MakeToyModel({});
  Engine engine(model.units, model.head, *world, {.fill_released_with_nan = true});
  engine.Initialize(5);
  const Activations input = ToyInput(0, 0, kToyDocuments);
  const HeadFunction head = ToyHead(input, ToyWeight());
  const auto failing = [&](const at::Tensor& hidden, auto parameters, auto gradients) {
    head(hidden, parameters, gradients);
    throw std::runtime_error("no");
    return HeadResult{};
  };
  engine.BeginStep();
  EXPECT_THROW(engine.ForwardBackward(input, failing), std::runtime_error);
  engine.BeginStep();
  engine.ForwardBackward(input, head);
  engine.FinishStep();
  std::map<std::string, at::Tensor> expected;
  auto parameters = engine.GatherAll();
  ReferenceGradients(model, parameters, 0, &expected);
  ExpectNear(WholeGradients(engine, *world), expected, 1e-6);
}

TEST(Engine, BadOptionsAndABadHeadAreErrors) {
  const auto world = comm::SingleRank();
  const ToyModel model = MakeToyModel({});
  EXPECT_THROW(Engine(model.units, model.head, *world, {.zero_stage = 0}), Error);
  EXPECT_THROW(Engine(model.units, model.head, *world, {.prefetch_depth = 2}), Error);
  EXPECT_THROW(Engine(model.units, model.head, *world, {.compute_dtype = at::kLong}), Error);
  Engine engine(model.units, model.head, *world, {});
  engine.BeginStep();
  EXPECT_THROW(engine.ForwardBackward(ToyInput(0, 0, 1),
                                      [](const at::Tensor&, auto, auto) { return HeadResult{}; }),
               Error);
}

}  // namespace
}  // namespace tanren::parallel
