#include "trainer/model/memory_plan.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <vector>

#include "parallel/engine/engine.h"
#include "runtime/comm/local.h"
#include "tests/runtime/formats/llama_config.h"
#include "trainer/data/batch.h"
#include "trainer/model/llama.h"
#include "trainer/objective/next_token.h"

namespace tanren::trainer {
namespace {

using parallel::Engine;
using parallel::EngineOptions;
using parallel::Recompute;

// Gives tensors their memory as long as it lives, and counts for each thread that asks for it:
// ranks are threads, whose peaks fall together only by chance.
class CountingAllocator final : public c10::Allocator {
 public:
  struct Count {
    std::atomic<int64_t> live = 0, peak = 0;
  };
  // Where this thread's tensors count, wherever they are freed; null: nowhere.
  static inline thread_local Count* mine = nullptr;

  CountingAllocator() : before_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, 255); }
  ~CountingAllocator() override { c10::SetCPUAllocator(before_, 255); }

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &Delete, at::kCPU};
    void* const data = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (mine != nullptr) {
      mine->live += static_cast<int64_t>(bytes);
      mine->peak = std::max(mine->peak.load(), mine->live.load());
    }
    return {data, new Block{data, static_cast<int64_t>(bytes), mine}, &Delete, at::kCPU};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  struct Block {
    void* data;
    int64_t bytes;
    Count* count;
  };
  static void Delete(void* context) {
    if (context == nullptr) return;
    auto* const block = static_cast<Block*>(context);
    if (block->count != nullptr) block->count->live -= block->bytes;
    std::free(block->data);
    delete block;
  }
  c10::Allocator* before_;
};

formats::ModelConfig SmallConfig() {
  return formats::LlamaConfig({.hidden = 64,
                               .intermediate = 176,
                               .layers = 6,
                               .heads = 4,
                               .key_value_heads = 2,
                               .head_dim = 16,
                               .vocabulary = 1024});
}

Batch BatchOf(int64_t tokens) {
  Document document;
  for (int64_t i = 0; i < tokens; ++i) {
    document.tokens.push_back(static_cast<int32_t>(i * i % 1021));
    document.weights.push_back(1);
  }
  const Document* const one = &document;
  return MakeBatch({&one, 1});
}

// The most bytes of a rank's tensors that were alive at once in its engine's second step.
int64_t Measure(const formats::ModelConfig& config, const EngineOptions& options, int64_t tokens,
                int ranks) {
  const Model model = BuildLlama(config);
  const NextToken objective;
  const Batch batch = BatchOf(tokens);
  std::vector<CountingAllocator::Count> counts(ranks);
  CountingAllocator allocator;
  comm::RunRanks(ranks, [&](comm::Communicator& world) {
    CountingAllocator::Count& count = counts[world.rank()];
    CountingAllocator::mine = &count;
    Engine engine(model.units, {model.head}, world, options);
    engine.Initialize(3);
    for (int step = 0; step < 2; ++step) {
      count.peak = count.live.load();
      engine.BeginStep();
      engine.ForwardBackward(
          {.tokens_T = batch.tokens_T,
           .positions_T = batch.positions_T,
           .document_offsets = batch.document_offsets_N1},
          [&](const at::Tensor& hidden_TD, std::span<const at::Tensor> parameters,
              std::span<at::Tensor> gradients) {
            return objective.LossAndDerivative(
                batch, {hidden_TD, parameters.front(), gradients.front()}, 1.0);
          });
      engine.FinishStep();
    }
    CountingAllocator::mine = nullptr;
  });
  int64_t largest = 0;
  for (const CountingAllocator::Count& count : counts)
    largest = std::max(largest, count.peak.load());
  return largest;
}

int64_t Planned(const formats::ModelConfig& config, const EngineOptions& options, int64_t tokens,
                int ranks) {
  const Model model = BuildLlama(config);
  MemoryPlanOptions plan;
  plan.engine = options;
  plan.world_size = ranks;
  plan.tokens = tokens;
  const parallel::StepMemory step = PlanMemory(config, model, plan).step;
  // The head's products have scratch that isn't a tensor's.
  const int64_t scratch = step.moment == "head" ? config.vocab_size * 64 * 4 : 0;
  return step.masters + step.gradients + step.Passing() - scratch;
}

void ExpectPlanned(const formats::ModelConfig& config, const EngineOptions& options, int64_t tokens,
                   int ranks, double tolerance) {
  SCOPED_TRACE(testing::Message() << c10::toString(options.compute_dtype) << ", stage "
                                  << options.zero_stage << ", recompute "
                                  << (options.recompute == Recompute::kFull) << ", " << tokens
                                  << " tokens, " << ranks << " ranks");
  const auto measured = static_cast<double>(Measure(config, options, tokens, ranks));
  const auto planned = static_cast<double>(Planned(config, options, tokens, ranks));
  EXPECT_NEAR(planned / measured, 1, tolerance) << planned << " for " << measured;
}

// What is left to differ are a few numbers for each token.
constexpr double kClose = 0.03;

TEST(MemoryPlan, IsWhatAStepTakes) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const Recompute recompute : {Recompute::kNone, Recompute::kFull}) {
      for (const int64_t tokens : {512, 3000}) {
        ExpectPlanned(SmallConfig(), {.compute_dtype = dtype, .recompute = recompute}, tokens, 1,
                      kClose);
      }
    }
  }
}

TEST(MemoryPlan, IsWhatAStepTakesWithEachFamilysBlocks) {
  formats::ModelConfig config = SmallConfig();
  config.tie_word_embeddings = false;
  config.query_key_norm = true;
  ExpectPlanned(config, {.compute_dtype = at::kBFloat16}, 2000, 1, kClose);
  config.query_key_norm = false;
  config.attention_bias = true;
  ExpectPlanned(config, {.compute_dtype = at::kBFloat16}, 2000, 1, kClose);
}

TEST(MemoryPlan, IsWhatAStepTakesAtEachStage) {
  for (const int stage : {1, 2, 3}) {
    ExpectPlanned(SmallConfig(), {.zero_stage = stage, .compute_dtype = at::kBFloat16}, 512, 1,
                  kClose);
  }
}

// Ranks that are threads exchange through buffers.
TEST(MemoryPlan, IsWhatTwoRanksTake) {
  for (const int stage : {1, 2, 3}) {
    ExpectPlanned(SmallConfig(), {.zero_stage = stage, .compute_dtype = at::kBFloat16}, 1000, 2,
                  0.1);
  }
}

TEST(MemoryPlan, TheOptimizersStateFollowsItsMoments) {
  MemoryPlanOptions options;
  options.tokens = 100;
  const formats::ModelConfig config = SmallConfig();
  const Model model = BuildLlama(config);
  const MemoryPlan with = PlanMemory(config, model, options);
  EXPECT_EQ(with.optimizer, 2 * with.step.masters);
  options.moments = 0;
  EXPECT_EQ(PlanMemory(config, model, options).Total(), with.Total() - with.optimizer);
  EXPECT_EQ(CheckpointBytes(model, 2), ParameterCount(model) * 12);
}

TEST(MemoryPlan, SampleAnswersCountWhereTheyTakeMoreThanAStep) {
  MemoryPlanOptions options;
  options.tokens = 10;
  options.sampled_sequences = 100;
  options.sampled_tokens = 2000;
  const formats::ModelConfig config = SmallConfig();
  const Model model = BuildLlama(config);
  const MemoryPlan plan = PlanMemory(config, model, options);
  EXPECT_EQ(plan.Kinds().back().first, "sample answers");
  EXPECT_GT(plan.Total(), plan.sampling);
  options.tokens = 100'000;
  EXPECT_NE(PlanMemory(config, model, options).Kinds().back().first, "sample answers");
}

}  // namespace
}  // namespace tanren::trainer
