// What the engine does when units are unusual: parameters that aren't used, gradients that aren't
// finite, several uses of one group.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "parallel/engine/engine.h"
#include "parallel/optimizer/sgd.h"
#include "parallel/optimizer/update.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "tests/parallel/engine/toy_model.h"

namespace tanren::parallel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Multiplies by its first parameter, never reads its second, and calls `probe` in each forward.
class ProbedUnit final : public Unit {
 public:
  ProbedUnit(std::string name, std::function<void()> probe)
      : name_(std::move(name)),
        parameters_({{name_ + ".used", {12}, false, true, {Initializer::Kind::kOnes}},
                     {name_ + ".unused", {7}, false, true, {Initializer::Kind::kOnes}}}),
        probe_(std::move(probe)) {}
  const std::string& name() const override { return name_; }
  const std::vector<ParameterSpec>& parameters() const override { return parameters_; }
  Activations Forward(std::span<const at::Tensor> parameters, Activations in) const override {
    if (probe_) probe_();
    in.hidden = in.hidden * parameters[0];
    return in;
  }

 private:
  std::string name_;
  std::vector<ParameterSpec> parameters_;
  std::function<void()> probe_;
};

// While it lives, memory that nobody has written reads as NaN.
class UnwrittenMemoryIsNan {
 public:
  UnwrittenMemoryIsNan() { at::globalContext().setDeterministicAlgorithms(true, false); }
  ~UnwrittenMemoryIsNan() { at::globalContext().setDeterministicAlgorithms(false, false); }
};

TEST(EngineEdges, AnUnusedParametersGradientIsZeroAndSoIsThePaddings) {
  const UnwrittenMemoryIsNan unwritten_is_nan;
  for (int stage : {1, 2, 3}) {
    comm::RunRanks(2, [&](comm::Communicator& world) {
      ToyModel model = MakeToyModel({});
      model.units.push_back(std::make_shared<ProbedUnit>("probed", nullptr));
      Engine engine(model.units, model.head, world, {.zero_stage = stage});
      engine.Initialize(1);
      const Activations input = ToyInput(0, 0, 2);
      engine.BeginStep();
      engine.ForwardBackward(input, ToyHead(input, 1));
      engine.FinishStep();
      const auto gradients = WholeGradients(engine, world);
      EXPECT_TRUE(at::equal(gradients.at("probed.unused"), at::zeros({7})));
      EXPECT_GT(gradients.at("probed.used").abs().sum().item<double>(), 0);
      for (const auto& group : engine.groups()) {
        EXPECT_TRUE(group->gradient_shard().isfinite().all().item<bool>()) << group->name();
      }
    });
  }
}

TEST(EngineEdges, NothingOfAStepsGradientsIsLeftInTheNext) {
  for (const int ranks : {1, 2}) {
    for (int stage : {1, 2, 3}) {
      comm::RunRanks(ranks, [&](comm::Communicator& world) {
        const ToyModel model = MakeToyModel({});
        Engine engine(model.units, model.head, world, {.zero_stage = stage});
        engine.Initialize(1);
        const Activations input = ToyInput(0, 0, 2);
        const auto step = [&](int micro_batches) {
          engine.BeginStep();
          for (int i = 0; i < micro_batches; ++i) engine.ForwardBackward(input, ToyHead(input, 1));
          engine.FinishStep();
          return WholeGradients(engine, world);
        };
        const auto first = step(1), second = step(1), twice = step(2);
        for (const auto& [name, gradient] : first) {
          EXPECT_TRUE(at::equal(second.at(name), gradient)) << name;
          EXPECT_TRUE(at::allclose(twice.at(name), 2 * gradient)) << name;
        }
        for (const auto& [name, gradient] : step(0)) {
          EXPECT_TRUE(at::equal(gradient, at::zeros_like(gradient))) << name;
        }
      });
    }
  }
}

TEST(EngineEdges, ATiedGroupIsReducedOnceAfterItsLastUse) {
  comm::RunRanks(2, [](comm::Communicator& world) {
    ToyModel model = MakeToyModel({});
    Engine* engine = nullptr;
    std::vector<bool> tied_gradient_waits;
    model.units.push_back(std::make_shared<ProbedUnit>("probed", [&] {
      tied_gradient_waits.push_back(engine->groups().front()->has_gradient());
    }));
    // Recompute runs the probe in the forward walk and again in the backward walk, after the head.
    Engine made(model.units, model.head, world, {.recompute = Recompute::kFull});
    engine = &made;
    ASSERT_EQ(made.groups().front()->name(), "embed+head");
    const at::Tensor& reduced = made.groups().front()->gradient_shard();
    made.Initialize(1);
    const Activations input = ToyInput(0, 0, 2);
    made.BeginStep();
    const auto version = reduced._version();
    made.ForwardBackward(input, ToyHead(input, 1));
    EXPECT_THAT(tied_gradient_waits, ElementsAre(false, true));
    EXPECT_FALSE(made.groups().front()->has_gradient());
    EXPECT_EQ(reduced._version(), version + 1) << "added to once";
  });
}

TEST(EngineEdges, TheUnitWithANotFiniteGradientIsNamed) {
  comm::RunRanks(2, [](comm::Communicator& world) {
    const ToyModel model = MakeToyModel({});
    Engine engine(model.units, model.head, world, {});
    engine.Initialize(1);
    Sgd optimizer(engine.TrainableShards(), {});
    const Activations input = ToyInput(0, 0, 2);
    engine.BeginStep();
    engine.ForwardBackward(input, ToyHead(input, 1));
    engine.FinishStep();
    if (world.rank() == 1) {
      engine.groups()[2]->gradient_shard()[3] = std::numeric_limits<float>::infinity();
    }
    try {
      UpdateParameters(optimizer, world, 0.1, {}, nullptr);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("layers.1"));
      EXPECT_THAT(error.what(), testing::Not(HasSubstr("layers.0")));
    }
  });
}

// The change of a block's parameters by one step of SGD whose gradients are very small.
at::Tensor TinyStep(at::ScalarType dtype, double scale) {
  const auto world = comm::SingleRank();
  const ToyModel model = MakeToyModel({});
  Engine engine(model.units, model.head, *world, {.compute_dtype = dtype});
  engine.Initialize(1);
  const at::Tensor before = engine.groups()[1]->shard().clone();
  Sgd optimizer(engine.TrainableShards(), {});
  LossScaler scaler({.initial = scale});
  const Activations input = ToyInput(0, 0, kToyDocuments);
  constexpr double kTiny = 1e-6;
  engine.BeginStep();
  engine.ForwardBackward(input, ToyHead(input, ToyWeight() / (kTiny * scaler.scale())));
  engine.FinishStep();
  EXPECT_FALSE(UpdateParameters(optimizer, *world, 1 / kTiny, {}, &scaler).skipped());
  return engine.groups()[1]->shard() - before;
}

TEST(EngineEdges, LossScalingKeepsGradientsThatFp16WouldLose) {
  const at::Tensor exact = TinyStep(at::kFloat, 1);
  const auto error = [&](const at::Tensor& step) {
    return ((step - exact).norm() / exact.norm()).item<double>();
  };
  EXPECT_LT(error(TinyStep(at::kHalf, 65536)), 0.02);
  EXPECT_GT(error(TinyStep(at::kHalf, 1)), 0.2);
}

}  // namespace
}  // namespace tanren::parallel
