#include "trainer/started_alike.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/comm/local.h"

namespace tanren::trainer {
namespace {

using testing::HasSubstr;

StartedAs Start() {
  StartedAs start{.program = "tanren-worker 1 (build a)", .command = "train", .recipe = {}};
  start.recipe.mutable_optimizer()->set_learning_rate(1e-4);
  return start;
}

TEST(StartedAlike, TheSameStartHasNoDifference) { EXPECT_EQ(DifferenceOf(Start(), Start()), ""); }

TEST(StartedAlike, SettingsThatDifferAreNamedWithBothValues) {
  StartedAs other = Start();
  other.recipe.mutable_optimizer()->set_learning_rate(2e-4);
  other.recipe.mutable_training()->set_seed(3);
  EXPECT_EQ(DifferenceOf(Start(), other),
            "it has another recipe than rank 0: training.seed: 3 instead of 0, "
            "optimizer.learning_rate: 0.0002 instead of 0.0001; start all ranks with the same "
            "recipe");
}

TEST(StartedAlike, OfManyDifferencesTheFirstAreShownAndTheRestCounted) {
  StartedAs other = Start();
  TrainingRecipe& training = *other.recipe.mutable_training();
  training.set_seed(3);
  training.set_steps(9);
  training.set_batch_rows(64);
  training.set_micro_batch_rows(16);
  training.set_log_every(7);
  training.set_threads(5);
  EXPECT_THAT(DifferenceOf(Start(), other), HasSubstr(", and 2 more; start"));
}

TEST(StartedAlike, AnotherProgramOrCommandIsToldBeforeAnyRecipe) {
  StartedAs other = Start();
  other.recipe.mutable_training()->set_seed(3);
  other.command = "resume";
  EXPECT_EQ(DifferenceOf(Start(), other),
            "it was started with resume, and rank 0 with train; start all ranks alike");
  other.program = "tanren-worker 1 (build b)";
  EXPECT_EQ(DifferenceOf(Start(), other),
            "it is tanren-worker 1 (build b), and rank 0 is tanren-worker 1 (build a); install the "
            "same one on every host");
}

TEST(StartedAlike, EveryRankLearnsWhichRankDiffers) {
  for (const int odd : {0, 1, 2, 3}) {
    std::vector<absl::Status> found(3);
    comm::RunRanks(3, [&](comm::Communicator& world) {
      StartedAs mine = Start();
      if (world.rank() == odd) mine.recipe.mutable_training()->set_seed(3);
      found[world.rank()] = CheckStartedAlike(world, mine);
    });
    for (const absl::Status& status : found) {
      EXPECT_EQ(status.ok(), odd == 3);
      EXPECT_EQ(status, found[0]);
    }
    // Where rank 0 is the odd one, it is the others that differ from it.
    const std::string message(found[0].message());
    EXPECT_EQ(message.starts_with("rank 1: it has another"), odd == 0 || odd == 1) << message;
    EXPECT_EQ(message.starts_with("rank 2: it has another"), odd == 2) << message;
  }
}

}  // namespace
}  // namespace tanren::trainer
