// Checkpoints that are written while training goes on.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "parallel/checkpoint/checkpoint_folder.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/comm/local.h"
#include "tests/trainer/data/files.h"
#include "tests/trainer/loop/small_training.h"
#include "trainer/loop/checkpointing.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

constexpr auto kSlow = std::chrono::milliseconds(30);

// All bytes below a folder, by name.
std::map<std::string, std::string> FilesUnder(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[fs::relative(entry.path(), folder).string()] = ValueOrThrow(ReadFile(entry.path()));
  }
  return files;
}

std::vector<int64_t> StepsIn(const fs::path& folder) {
  std::vector<int64_t> steps;
  for (const auto& entry : ValueOrThrow(parallel::ListCheckpoints(folder))) {
    steps.push_back(entry.step);
  }
  return steps;
}

// Trains and saves; the checkpoints that were published, by rank 0's word.
std::vector<PublishedCheckpoint> Train(int ranks, CheckpointingOptions options, int64_t steps) {
  std::vector<PublishedCheckpoint> published;
  comm::RunRanks(ranks, [&](comm::Communicator& world) {
    SmallTraining training(world);
    CheckpointListener listener;
    if (world.rank() == 0) {
      listener = [&](const PublishedCheckpoint& one) { published.push_back(one); };
    }
    training.Run(0, steps,
                 ListOf(std::make_unique<Checkpointing>(training.parts(), options, listener)));
  });
  return published;
}

CheckpointingOptions Into(const fs::path& folder, bool in_background) {
  CheckpointingOptions options;
  options.folder = folder;
  options.every_steps = 1;
  options.in_background = in_background;
  options.recipe_digest = "abc";
  options.save.retention.keep_last = 0;
  return options;
}

TEST(BackgroundCheckpointing, WritesTheBytesThatAHaltedTrainingWould) {
  for (int ranks : {1, 2}) {
    const Folder halted, going;
    Train(ranks, Into(halted.path(), false), 5);
    CheckpointingOptions options = Into(going.path(), true);
    // Slow enough for the next step's gradients to be there first.
    options.save.before_disk_operation = [](std::string_view operation, const fs::path&) {
      if (operation == "write") std::this_thread::sleep_for(kSlow / 10);
      return absl::OkStatus();
    };
    Train(ranks, options, 5);
    EXPECT_THAT(StepsIn(going.path()), ElementsAre(1, 2, 3, 4, 5));
    EXPECT_EQ(FilesUnder(going.path()), FilesUnder(halted.path())) << ranks;
  }
}

TEST(BackgroundCheckpointing, TheOptimizerWaitsForWhatHasNotBeenReadAndForNothingElse) {
  const Folder folder;
  CheckpointingOptions options = Into(folder.path(), true);
  options.every_steps = 2;
  // While the file is flushed, nothing waits: steps pass.
  std::atomic<bool> flushing{false}, flushed{false};
  options.save.before_disk_operation = [&](std::string_view operation, const fs::path& path) {
    const bool is_first_pieces = operation == "fsync" && path.extension() == ".tanren" && !flushed;
    if (is_first_pieces) {
      flushing = true;
      std::this_thread::sleep_for(kSlow * 5);
      flushed = true;
    }
    return absl::OkStatus();
  };
  std::vector<bool> while_flushing;
  class Watch final : public Callback {
   public:
    explicit Watch(std::function<void(int64_t)> seen) : seen_(std::move(seen)) {}
    void StepFinished(StepReport& report) override { seen_(report.step); }

   private:
    std::function<void(int64_t)> seen_;
  };
  comm::RunRanks(1, [&](comm::Communicator& world) {
    SmallTraining training(world);
    training.Run(0, 3,
                 ListOf(std::make_unique<Watch>([&](int64_t step) {
                          while (step == 3 && !flushing) std::this_thread::sleep_for(kSlow / 30);
                          if (step == 3) while_flushing.push_back(!flushed);
                        }),
                        std::make_unique<Checkpointing>(training.parts(), options, nullptr)));
  });
  EXPECT_THAT(while_flushing, ElementsAre(true)) << "step 3 was done before step 2 was on disk";
  EXPECT_THAT(StepsIn(folder.path()), ElementsAre(2, 3));
}

TEST(BackgroundCheckpointing, OneThatIsDueMeanwhileIsLeftOutOrWaits) {
  for (const bool skips : {true, false}) {
    const Folder folder;
    CheckpointingOptions options = Into(folder.path(), true);
    options.skip_when_busy = skips;
    std::atomic<int> flushes{0};
    options.save.before_disk_operation = [&](std::string_view operation, const fs::path& path) {
      // The first is still being flushed when the second is due.
      if (operation == "fsync" && path.extension() == ".tanren" && flushes++ < 2) {
        std::this_thread::sleep_for(kSlow * 5);
      }
      return absl::OkStatus();
    };
    Train(2, options, 3);
    if (skips) {
      EXPECT_THAT(StepsIn(folder.path()), ElementsAre(1, 3));
    } else {
      EXPECT_THAT(StepsIn(folder.path()), ElementsAre(1, 2, 3));
    }
  }
}

TEST(BackgroundCheckpointing, AFailedOneEndsTheRunOrIsLeftOut) {
  for (const bool goes_on : {true, false}) {
    const Folder folder;
    CheckpointingOptions options = Into(folder.path(), true);
    options.go_on_after_failure = goes_on;
    options.save.before_disk_operation = [](std::string_view operation, const fs::path& path) {
      const bool fails =
          operation == "write" && path.string().find("00000002") != std::string::npos;
      return fails ? absl::ResourceExhaustedError("the disk is full") : absl::OkStatus();
    };
    if (goes_on) {
      Train(2, options, 4);
      EXPECT_THAT(StepsIn(folder.path()), ElementsAre(1, 3, 4));
    } else {
      EXPECT_THROW(Train(2, options, 4), Error);
      EXPECT_THAT(StepsIn(folder.path()), ElementsAre(1));
    }
  }
}

TEST(BackgroundCheckpointing, TheLastOneMustSucceed) {
  const Folder folder;
  CheckpointingOptions options = Into(folder.path(), true);
  options.go_on_after_failure = true;
  options.save.before_disk_operation = [](std::string_view operation, const fs::path& path) {
    const bool fails = operation == "write" && path.string().find("00000003") != std::string::npos;
    return fails ? absl::ResourceExhaustedError("the disk is full") : absl::OkStatus();
  };
  EXPECT_THROW(Train(1, options, 3), Error);
  EXPECT_THAT(StepsIn(folder.path()), ElementsAre(1, 2));
}

TEST(BackgroundCheckpointing, ARunThatEndsMeanwhileLeavesThoseBefore) {
  const Folder folder;
  CheckpointingOptions options = Into(folder.path(), true);
  options.every_steps = 2;
  comm::RunRanks(1, [&](comm::Communicator& world) {
    // Its data end behind step 3, while step 2 may still be on its way.
    SmallTraining training(world, 1, /*steps_of_data=*/3);
    EXPECT_THROW(
        training.Run(0, 9,
                     ListOf(std::make_unique<Checkpointing>(training.parts(), options, nullptr))),
        Error);
  });
  for (const int64_t step : StepsIn(folder.path())) EXPECT_EQ(step, 2);
}

}  // namespace
}  // namespace tanren::trainer
