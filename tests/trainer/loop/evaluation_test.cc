#include "trainer/loop/evaluation.h"

#include <ATen/ATen.h>

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "tests/trainer/data/data_files.h"
#include "tests/trainer/loop/small_training.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;

// Texts, of which all is a target, and completions, of which a part is.
class EvaluationTest : public testing::Test {
 protected:
  std::unique_ptr<ValidationSet> HeldOut(const comm::Communicator& ranks) const {
    const auto corpus = files_.Open({.sequence_length = 40});
    std::vector<uint64_t> rows;
    for (uint64_t row = 0; row < corpus->row_count(); ++row) rows.push_back(row);
    return ValueOrThrow(ValidationSet::Make(corpus.get(), rows, 0, 1,
                                            {.world_size = ranks.size(),
                                             .rank = ranks.rank(),
                                             .micro_batch_rows = 2,
                                             .sequence_length = 40}));
  }

  // From single documents, by ordinary operations; on one rank.
  static double Direct(const Tensors& parameters, const ValidationSet& held_out) {
    double sum = 0, weight = 0;
    for (size_t step = 0; step < held_out.step_count(); ++step) {
      for (const Batch& batch : held_out.step(step).micro_batches) {
        sum += LossSum(parameters, batch).item<double>();
        weight += TargetWeight(batch);
      }
    }
    return sum / weight;
  }

  const DataFiles files_{{TextRows("a", 11, 20),
                          "{\"prompt\":\"seven\",\"completion\":\"letters\"}\n"
                          "{\"prompt\":\"a\",\"completion\":\"bc\"}\n"}};
};

TEST_F(EvaluationTest, TheLossIsTheMeanOverAllTargetsOnAnyNumberOfRanks) {
  double direct = 0;
  comm::RunRanks(1, [&](comm::Communicator& world) {
    SmallTraining training(world);
    const auto held_out = HeldOut(world);
    EXPECT_GT(held_out->step_count(), 1u);
    EXPECT_EQ(held_out->documents(), 13);
    direct = Direct(training.engine.GatherAll(), *held_out);
  });
  for (const int ranks : {1, 2, 3}) {
    comm::RunRanks(ranks, [&](comm::Communicator& world) {
      SmallTraining training(world);
      EXPECT_NEAR(HeldOutLoss(training.engine, world, *HeldOut(world)), direct, 1e-6 * direct)
          << ranks << " ranks";
    });
  }
}

// The steps with a held-out loss, and whether there was one before the first.
struct Evaluated {
  bool before = false;
  std::vector<int64_t> steps;
  std::vector<StepReport> reports;
};

class EvaluatedSteps : public EvaluationTest {
 protected:
  Evaluated Train(int64_t steps_done, int64_t every_steps) const {
    Evaluated evaluated;
    comm::RunRanks(1, [&](comm::Communicator& world) {
      SmallTraining training(world);
      const auto held_out = HeldOut(world);
      std::vector<StartReport> starts;
      training.Run(
          steps_done, 5,
          ListOf(std::make_unique<Evaluation>(training.engine, world, *held_out, every_steps),
                 std::make_unique<Reports>(&evaluated.reports, &starts)));
      evaluated.before = starts[0].metrics.contains("validation_loss");
    });
    for (const StepReport& report : evaluated.reports) {
      if (report.metrics.contains("validation_loss")) evaluated.steps.push_back(report.step);
    }
    return evaluated;
  }
};

TEST_F(EvaluatedSteps, AreTheDueOnesTheLastOneAndTheStart) {
  const Evaluated evaluated = Train(0, 2);
  EXPECT_TRUE(evaluated.before);
  EXPECT_THAT(evaluated.steps, ElementsAre(2, 4, 5));
}

TEST_F(EvaluatedSteps, AreTheStartAndTheLastOneWithoutAnInterval) {
  const Evaluated evaluated = Train(0, 0);
  EXPECT_TRUE(evaluated.before);
  EXPECT_THAT(evaluated.steps, ElementsAre(5));
}

TEST_F(EvaluatedSteps, DoNotBeginAnewWhereARunIsResumed) {
  const Evaluated evaluated = Train(2, 3);
  EXPECT_FALSE(evaluated.before);
  EXPECT_THAT(evaluated.steps, ElementsAre(3, 5));
}

TEST_F(EvaluationTest, IsOfTheParametersBehindTheStepAndLeavesTheTrainingAsItIs) {
  comm::RunRanks(2, [&](comm::Communicator& world) {
    const auto held_out = HeldOut(world);
    SmallTraining evaluated(world), plain(world);
    const double untrained = HeldOutLoss(plain.engine, world, *held_out);
    std::vector<StartReport> starts;
    std::vector<StepReport> reports, expected;
    evaluated.Run(0, 4,
                  ListOf(std::make_unique<Evaluation>(evaluated.engine, world, *held_out, 1),
                         std::make_unique<Reports>(&reports, &starts)));
    plain.Run(0, 4, ListOf(std::make_unique<Reports>(&expected)));
    EXPECT_EQ(starts[0].metrics["validation_loss"], untrained);
    EXPECT_EQ(reports[3].metrics["validation_loss"], HeldOutLoss(plain.engine, world, *held_out));
    EXPECT_NE(reports[3].metrics["validation_loss"], untrained);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(reports[i].loss, expected[i].loss);
  });
}

}  // namespace
}  // namespace tanren::trainer
