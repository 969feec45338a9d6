#include "parallel/engine/step_memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

// Only its name and its parameters matter here.
class Weights final : public Unit {
 public:
  Weights(std::string name, int64_t numel)
      : name_(std::move(name)), parameters_{{name_ + ".weight", {numel}}} {}
  const std::string& name() const override { return name_; }
  const std::vector<ParameterSpec>& parameters() const override { return parameters_; }
  Activations Forward(std::span<const at::Tensor>, Activations in) const override { return in; }

 private:
  std::string name_;
  std::vector<ParameterSpec> parameters_;
};

constexpr int64_t kEmbedding = 64'000, kBlock = 6'400, kHead = 12'800;

// An embedding, three blocks and a head of its own; 96,000 parameters, which 2, 4 and 5 ranks share
// without padding.
StepMemory Plan(int world_size, const EngineOptions& options,
                const std::vector<VisitMemory>& visits, int64_t micro_batches = 1) {
  std::vector<std::shared_ptr<const Unit>> units = {std::make_shared<Weights>("embed", kEmbedding)};
  for (const char* name : {"a", "b", "c"}) {
    units.push_back(std::make_shared<Weights>(name, kBlock));
  }
  return PlanStepMemory(units, {{"head.weight", {kHead}}}, world_size, options, visits,
                        micro_batches);
}

std::vector<VisitMemory> Visits(const VisitMemory& block, const VisitMemory& head = {}) {
  return {{.output = block.output}, block, block, block, head};
}

TEST(StepMemory, MastersAndGradientsAreSharedByTheRanks) {
  constexpr int64_t kAll = kEmbedding + 3 * kBlock + kHead;
  for (const int ranks : {1, 2, 5}) {
    const StepMemory memory = Plan(ranks, {.compute_dtype = at::kBFloat16}, Visits({}));
    EXPECT_EQ(memory.masters, 4 * kAll / ranks);
    EXPECT_EQ(memory.gradients, 4 * kAll / ranks);
  }
}

TEST(StepMemory, WithStage3FewUnitsWeightsAreThereAtOnce) {
  const auto gathered = [](int stage, int prefetch) {
    return Plan(1,
                {.zero_stage = stage, .compute_dtype = at::kBFloat16, .prefetch_depth = prefetch},
                Visits({}))
        .gathered;
  };
  EXPECT_EQ(gathered(3, 0), 2 * kEmbedding);
  EXPECT_EQ(gathered(3, 1), 2 * (kEmbedding + kBlock));  // and the one that comes next
  EXPECT_EQ(gathered(2, 0), 2 * (kEmbedding + 3 * kBlock + kHead));
  EXPECT_EQ(gathered(1, 1), gathered(2, 0));
}

TEST(StepMemory, RecomputeKeepsOutputsAndOneUnitsGraph) {
  const VisitMemory block{.output = 1'000'000, .kept = 10'000'000};
  const StepMemory whole = Plan(1, {}, Visits(block));
  EXPECT_EQ(whole.activations, 4'000'000 + 30'000'000);
  const StepMemory again = Plan(1, {.recompute = Recompute::kFull}, Visits(block));
  EXPECT_EQ(again.activations, 4'000'000 + 10'000'000);
}

TEST(StepMemory, TheMomentIsTheOneThatTakesMost) {
  const VisitMemory block{.output = 1'000'000, .kept = 10'000'000, .backward = 5'000'000};
  EXPECT_EQ(Plan(1, {}, Visits(block)).moment, "backward of c");
  EXPECT_EQ(Plan(1, {}, Visits(block)).working, 5'000'000);
  EXPECT_EQ(Plan(1, {}, Visits(block, {.forward = 9'000'000})).moment, "head");
  EXPECT_EQ(Plan(1, {}, Visits(block, {.forward = 9'000'000})).working, 9'000'000);
}

TEST(StepMemory, WholeGradientsWaitForTheirReduction) {
  // Most is taken in block c's visit back.
  const std::vector<VisitMemory> visits = {{}, {}, {}, {.backward = 1'000'000}, {}};
  const auto whole = [&](int ranks, int stage, int64_t micro_batches, at::ScalarType dtype) {
    return Plan(ranks, {.zero_stage = stage, .gradient_dtype = dtype}, visits, micro_batches)
        .whole_gradients;
  };
  EXPECT_EQ(whole(1, 3, 1, at::kFloat), 0);  // one rank adds into its shard
  // Block c's own, and the head's, which is on its way.
  EXPECT_EQ(whole(2, 3, 1, at::kFloat), 4 * (kBlock + kHead));
  EXPECT_EQ(whole(2, 3, 1, at::kBFloat16), 2 * (kBlock + kHead));
  // Stage 1 sums everything whole, and of several micro-batches from the second one's start.
  EXPECT_EQ(whole(2, 1, 2, at::kBFloat16), 4 * (kEmbedding + 3 * kBlock + kHead));
  EXPECT_LT(whole(2, 1, 1, at::kFloat), whole(2, 1, 2, at::kFloat));
}

TEST(StepMemory, AsManyVisitsAreAskedForAsThereAreUnitsAndAHead) {
  EXPECT_THROW(Plan(1, {}, {{}, {}}), Error);
}

}  // namespace
}  // namespace tanren::parallel
