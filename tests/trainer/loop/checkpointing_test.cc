#include "trainer/loop/checkpointing.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <limits>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "parallel/checkpoint/checkpoint_folder.h"
#include "parallel/checkpoint/manifest.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/comm/local.h"
#include "tests/trainer/data/files.h"
#include "tests/trainer/loop/small_training.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

// Adds the metric that checkpoints are compared by: what `metrics` has for the step.
class HeldOut final : public Callback {
 public:
  explicit HeldOut(std::map<int64_t, double> metrics) : metrics_(std::move(metrics)) {}
  void StepFinished(StepReport& report) override {
    const auto found = metrics_.find(report.step);
    if (found != metrics_.end()) report.metrics["validation_loss"] = found->second;
  }

 private:
  std::map<int64_t, double> metrics_;
};

class CheckpointingTest : public testing::Test {
 protected:
  struct Run {
    int64_t every_steps = 0;
    int64_t stop_behind = 0;  // 0: never
    int64_t steps = 5;
    std::map<int64_t, double> metrics;
    parallel::SaveOptions save;
    bool in_background = true;
    bool skip_when_busy = false;
    bool go_on_after_failure = false;
  };
  void Train(SmallTraining& training, const Run& run, CheckpointListener listener = nullptr) const {
    int64_t asked = 0;
    CheckpointingOptions options;
    options.folder = folder_.path();
    options.every_steps = run.every_steps;
    options.in_background = run.in_background;
    options.skip_when_busy = run.skip_when_busy;
    options.go_on_after_failure = run.go_on_after_failure;
    options.save = run.save;
    options.recipe_digest = "abc";
    training.Run(0, run.steps,
                 ListOf(std::make_unique<HeldOut>(run.metrics),
                        std::make_unique<Checkpointing>(training.parts(), std::move(options),
                                                        std::move(listener))),
                 [&] { return ++asked == run.stop_behind; });
  }
  void Train(const Run& run) const {
    comm::RunRanks(1, [&](comm::Communicator& world) {
      SmallTraining training(world);
      Train(training, run);
    });
  }

  std::vector<int64_t> Steps() const {
    std::vector<int64_t> steps;
    for (const auto& entry : ValueOrThrow(parallel::ListCheckpoints(folder_.path()))) {
      steps.push_back(entry.step);
    }
    return steps;
  }
  std::filesystem::path At(int64_t step) const {
    return folder_.path() / parallel::CheckpointName(step);
  }
  parallel::CheckpointMeta Meta(int64_t step) const {
    return ValueOrThrow(
               parallel::ParseManifest(ValueOrThrow(ReadFile(At(step) / parallel::kManifestFile))))
        .meta;
  }

  const Folder folder_;
};

TEST_F(CheckpointingTest, SavesWhenDueAndAtTheEnd) {
  Train({.every_steps = 2});
  EXPECT_THAT(Steps(), ElementsAre(2, 4, 5));
}

TEST_F(CheckpointingTest, SavesOnlyAtTheEndWithoutAnInterval) {
  Train({.every_steps = 0});
  EXPECT_THAT(Steps(), ElementsAre(5));
}

TEST_F(CheckpointingTest, SavesWhenTheRunIsAskedToStop) {
  Train({.every_steps = 2, .stop_behind = 3});
  EXPECT_THAT(Steps(), ElementsAre(2, 3));
}

TEST_F(CheckpointingTest, ACheckpointHoldsTheCursorTheRecipeAndTheHeldOutLoss) {
  Train({.every_steps = 2, .metrics = {{2, 1.5}, {3, 9}}});
  EXPECT_EQ(Meta(2).step, 2);
  EXPECT_EQ(Meta(2).metric, 1.5);
  EXPECT_EQ(Meta(4).metric, std::nullopt) << "the loss of another step isn't this one's";
  EXPECT_THAT(Meta(4).extra,
              UnorderedElementsAre(Pair("cursor", "4"), Pair("recipe_digest", "abc")));
}

TEST_F(CheckpointingTest, TheBestOfThemIsKept) {
  Train({.every_steps = 1,
         .metrics = {{1, 3}, {2, 1}, {3, 2}, {4, 2.5}, {5, 2}},
         .save = {.retention = {.keep_last = 1, .keep_best = 1}}});
  EXPECT_THAT(Steps(), ElementsAre(2, 5));
}

TEST_F(CheckpointingTest, AHeldOutLossThatIsNotFiniteDoesNotKeepARunFromSaving) {
  Train({.every_steps = 1,
         .steps = 2,
         .metrics = {{1, std::numeric_limits<double>::quiet_NaN()},
                     {2, std::numeric_limits<double>::infinity()}}});
  EXPECT_THAT(Steps(), ElementsAre(1, 2));
  EXPECT_EQ(Meta(1).metric, std::nullopt);
  EXPECT_EQ(Meta(2).metric, std::nullopt);
}

TEST_F(CheckpointingTest, TheListenerIsToldOfWhatCanBeLoaded) {
  comm::RunRanks(1, [&](comm::Communicator& world) {
    SmallTraining training(world);
    std::vector<int64_t> told;
    Train(training, {.every_steps = 3}, [&](const PublishedCheckpoint& checkpoint) {
      told.push_back(checkpoint.step);
      EXPECT_EQ(checkpoint.path, At(checkpoint.step));
      EXPECT_EQ(ValueOrThrow(parallel::LatestCheckpoint(folder_.path())), checkpoint.path);
      EXPECT_GT(checkpoint.waited_seconds, 0);
      EXPECT_GE(checkpoint.seconds, checkpoint.waited_seconds);
    });
    EXPECT_THAT(told, ElementsAre(3, 5));
  });
}

TEST_F(CheckpointingTest, AFailedSaveEndsTheRun) {
  parallel::SaveOptions save;
  save.before_disk_operation = [](std::string_view, const std::filesystem::path&) {
    return absl::ResourceExhaustedError("the disk is full");
  };
  EXPECT_THROW(Train({.every_steps = 1, .save = save}), Error);
  EXPECT_THAT(Steps(), IsEmpty());
}

// What a run leaves: the reports of its steps, its parameters and its scaler.
struct Left {
  std::vector<StepReport> reports;
  Tensors parameters;
  parallel::LossScaler::State scaler;
};

class Resuming : public CheckpointingTest {
 protected:
  // All steps of six, or those behind the checkpoint.
  Left Train(int ranks, const std::filesystem::path& checkpoint) const {
    Left left;
    comm::RunRanks(ranks, [&](comm::Communicator& world) {
      SmallTraining training(world, 2);
      UseScaler(training);
      int64_t steps_done = 0;
      if (!checkpoint.empty()) {
        steps_done = ValueOrThrow(Restore(checkpoint, training.parts()));
        EXPECT_EQ(steps_done, 3);
      }
      std::vector<StepReport> reports;
      training.Run(steps_done, 6, ListOf(std::make_unique<Reports>(&reports)));
      Tensors parameters = training.engine.GatherAll();
      if (world.rank() != 0) return;
      left = {std::move(reports), std::move(parameters), training.scaler->state()};
    });
    return left;
  }
  static void UseScaler(SmallTraining& training) {
    // Grows behind every second step: behind step 3 the count of good steps is not 0.
    training.scaler.emplace(parallel::LossScaler::Options{.initial = 64, .growth_interval = 2});
  }
};

TEST_F(Resuming, ThreeStepsARestoreAndThreeStepsAreBitwiseSixSteps) {
  for (const int ranks : {1, 2}) {
    const Left straight = Train(ranks, {});
    comm::RunRanks(ranks, [&](comm::Communicator& world) {
      SmallTraining training(world, 2);
      UseScaler(training);
      CheckpointingTest::Train(training, {.stop_behind = 3, .steps = 6});
    });
    ASSERT_THAT(Steps(), ElementsAre(3));
    const Left resumed = Train(ranks, At(3));
    ASSERT_EQ(resumed.reports.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(resumed.reports[i].step, straight.reports[i + 3].step);
      EXPECT_EQ(resumed.reports[i].loss, straight.reports[i + 3].loss);
      EXPECT_EQ(resumed.reports[i].loss_scale, straight.reports[i + 3].loss_scale);
      EXPECT_EQ(resumed.reports[i].cursor, straight.reports[i + 3].cursor);
    }
    for (const auto& [name, value] : straight.parameters) {
      EXPECT_TRUE(at::equal(value, resumed.parameters.at(name))) << name;
    }
    EXPECT_EQ(resumed.scaler, straight.scaler);
    std::filesystem::remove_all(At(3));
  }
}

TEST_F(Resuming, WithoutACursorOrWithOneThatIsRefusedIsAnErrorThatNamesTheCheckpoint) {
  comm::RunRanks(1, [&](comm::Communicator& world) {
    SmallTraining training(world);
    const auto restore = [&](int64_t step, std::map<std::string, std::string> extra) {
      parallel::CheckpointMeta meta{.step = step, .extra = std::move(extra)};
      ThrowIfError(parallel::SaveCheckpoint(folder_.path(), world, training.engine,
                                            training.optimizer, nullptr, meta));
      return Restore(At(step), training.parts()).status();
    };
    const absl::Status missing = restore(1, {}), refused = restore(2, {{"cursor", "here"}});
    EXPECT_EQ(missing.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(missing.message(), HasSubstr(At(1).string() + ": has no data cursor"));
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(refused.message(), HasSubstr(At(2).string() + ": found \"here\""));
  });
}

TEST_F(Resuming, AFolderWithoutACheckpointIsAnError) {
  comm::RunRanks(2, [&](comm::Communicator& world) {
    SmallTraining training(world);
    EXPECT_FALSE(Restore(At(1), training.parts()).ok());
  });
}

}  // namespace
}  // namespace tanren::trainer
