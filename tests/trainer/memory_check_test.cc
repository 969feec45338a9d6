#include "trainer/memory_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/formats/llama_config.h"
#include "trainer/model/llama.h"

namespace tanren::trainer {
namespace {

using testing::HasSubstr;
using testing::Not;

class MemoryCheckTest : public testing::Test {
 protected:
  MemoryCheckTest() {
    config_ = formats::SmolLm2Config();
    model_ = BuildLlama(config_);
    recipe_.mutable_data()->set_sequence_length(512);
    recipe_.mutable_training()->set_batch_rows(16);
    recipe_.mutable_training()->set_micro_batch_rows(4);
  }

  int64_t Total(int ranks) const {
    return PlanMemory(recipe_, config_, model_, at::kBFloat16, ranks).Total();
  }
  absl::Status Check(const RanksToPlan& ranks, int64_t available) const {
    return CheckMemory(recipe_, config_, model_, at::kBFloat16, ranks,
                       static_cast<uint64_t>(available));
  }
  std::vector<std::string> Savings(const RanksToPlan& ranks) const {
    std::vector<std::string> settings;
    for (const MemorySaving& saving : SavingsOf(recipe_, config_, model_, at::kBFloat16, ranks)) {
      settings.push_back(saving.setting);
    }
    return settings;
  }

  formats::ModelConfig config_;
  Model model_;
  Recipe recipe_;
};

TEST_F(MemoryCheckTest, ARunThatFitsIsLetThroughToTheByte) {
  EXPECT_TRUE(Check({1, 1}, Total(1)).ok());
  const absl::Status refused = Check({1, 1}, Total(1) - 1);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  // The ranks of one host count, those of others don't.
  EXPECT_TRUE(Check({4, 2}, 2 * Total(4)).ok());
  EXPECT_FALSE(Check({4, 2}, 2 * Total(4) - 1).ok());
}

TEST_F(MemoryCheckTest, TheRefusalSaysWhatIsMissingAndWhatLowersIt) {
  const std::string message(Check({1, 1}, 3'000'000'000).message());
  EXPECT_THAT(message, HasSubstr("this rank needs 3."));
  EXPECT_THAT(message, HasSubstr("but 3.00 GB are available"));
  EXPECT_THAT(message, HasSubstr("training.micro_batch_rows: 1 "));
  EXPECT_THAT(message, HasSubstr("parallel.recompute: full"));
  EXPECT_THAT(message, HasSubstr("which is enough"));
  EXPECT_THAT(std::string(Check({1, 1}, 100'000'000).message()),
              AllOf(HasSubstr("recompute"), Not(HasSubstr("which is enough"))));
  EXPECT_THAT(std::string(Check({4, 4}, 3'000'000'000).message()),
              AllOf(HasSubstr("the 4 ranks of this host need"), HasSubstr("2 ranks instead of 4")));
}

TEST_F(MemoryCheckTest, AFailedAllocationIsToldWithWhatIsLeftAndWhatLowersIt) {
  const absl::Status failure =
      absl::ResourceExhaustedError("out of memory: 9 bytes were asked for");
  const auto message = [&](const Model& model) {
    return std::string(
        WithMemoryAdvice(failure, recipe_, config_, model, at::kBFloat16, {1, 1}, 30'000'000)
            .message());
  };
  EXPECT_THAT(message(model_),
              AllOf(HasSubstr("out of memory: 9 bytes were asked for; 0.03 GB are left. What would "
                              "lower it:\n  "),
                    HasSubstr("training.micro_batch_rows: 1 "),
                    HasSubstr("parallel.recompute: full"), Not(HasSubstr("enough"))));
  // Before the model is there, nothing is known of settings.
  EXPECT_EQ(message(Model()), "out of memory: 9 bytes were asked for; 0.03 GB are left");
}

TEST_F(MemoryCheckTest, ASavingIsTheDifferenceThatItsSettingMakes) {
  const int64_t before = Total(1);
  for (const MemorySaving& saving : SavingsOf(recipe_, config_, model_, at::kBFloat16, {1, 1})) {
    if (saving.setting != "parallel.recompute: full") continue;
    recipe_.mutable_parallel()->set_recompute(ParallelRecipe::FULL);
    EXPECT_EQ(saving.saved, before - Total(1));
    return;
  }
  ADD_FAILURE() << "no saving by recompute";
}

TEST_F(MemoryCheckTest, WhatIsSetAlreadyIsNoAdvice) {
  recipe_.mutable_training()->set_micro_batch_rows(1);
  recipe_.mutable_parallel()->set_recompute(ParallelRecipe::FULL);
  for (const std::string& setting : Savings({1, 1})) {
    EXPECT_THAT(setting, Not(AnyOf(HasSubstr("micro_batch"), HasSubstr("recompute"))));
  }
  recipe_.mutable_parallel()->set_zero_stage(1);
  EXPECT_THAT(Savings({2, 2}), testing::Contains("parallel.zero_stage: 3"));
}

TEST_F(MemoryCheckTest, AMicroBatchHoldsNoMoreRowsThanARankHas) {
  recipe_.mutable_training()->set_batch_rows(2);
  const int64_t two = Total(1);
  recipe_.mutable_training()->set_micro_batch_rows(2);
  EXPECT_EQ(Total(1), two);
  recipe_.mutable_training()->set_micro_batch_rows(1);
  EXPECT_LT(Total(1), two);
}

TEST_F(MemoryCheckTest, TheTableAddsUp) {
  const MemoryPlan plan = PlanMemory(recipe_, config_, model_, at::kBFloat16, 2);
  int64_t sum = 0;
  for (const auto& [name, bytes] : plan.Kinds()) sum += bytes;
  EXPECT_EQ(plan.Total(), sum);
  const std::string table = RenderMemoryPlan(plan, recipe_, model_, {2, 2});
  for (const auto& [name, bytes] : plan.Kinds()) EXPECT_THAT(table, HasSubstr(name));
  EXPECT_THAT(table, HasSubstr("micro-batches of 4 × 512 tokens, 2 a step"));
  EXPECT_THAT(table, HasSubstr("1.61 GB   on disk; at most 3 at once: 4.84 GB"));
}

}  // namespace
}  // namespace tanren::trainer
