#include "parallel/checkpoint/checkpoint_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "tests/parallel/checkpoint/training.h"

namespace tanren::parallel {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

void Touch(const fs::path& path) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << "x";
}

void SetLatest(const fs::path& folder, std::string_view content) {
  std::ofstream(folder / "latest") << content;
}

std::vector<std::string> StepsIn(const fs::path& folder) {
  std::vector<std::string> names;
  for (const CheckpointEntry& entry : ValueOrThrow(ListCheckpoints(folder))) {
    EXPECT_EQ(entry.path.filename(), CheckpointName(entry.step));
    names.push_back(entry.path.filename());
  }
  return names;
}

std::set<std::string> NamesIn(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

TEST(CheckpointFolder, ListsWholeCheckpointsByStepAndNothingElse) {
  const TemporaryFolder temporary;
  for (const char* name :
       {"step-00000100", "step-00000020", "step-123456789", "step-00000030.incoming-1-2",
        "step-00000040.deleting-1-2", "step-50", "step-000000060", "step--0000001", "other"}) {
    Touch(temporary.path() / name / "manifest.json");
  }
  fs::create_directories(temporary.path() / "step-00000070");  // without a manifest
  Touch(temporary.path() / "step-00000080");                   // not a folder
  EXPECT_THAT(StepsIn(temporary.path()),
              ElementsAre("step-00000020", "step-00000100", "step-123456789"));
}

TEST(CheckpointFolder, OfNoFolderThereIsNoCheckpoint) {
  const TemporaryFolder temporary;
  EXPECT_THAT(StepsIn(temporary.path() / "none"), ElementsAre());
  const auto latest = LatestCheckpoint(temporary.path() / "none");
  ASSERT_TRUE(latest.ok()) << latest.status();
  EXPECT_FALSE(latest->has_value());
}

TEST(CheckpointFolder, TheLatestIsThePublishedOneElseTheHighestStep) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.path();
  Touch(folder / "step-00000020" / "manifest.json");
  Touch(folder / "step-00000040" / "manifest.json");
  EXPECT_EQ(ValueOrThrow(LatestCheckpoint(folder)), folder / "step-00000040");
  SetLatest(folder, "step-00000020\n");
  EXPECT_EQ(ValueOrThrow(LatestCheckpoint(folder)), folder / "step-00000020");
  for (const char* content : {"step-00000030\n", "", "../step-00000020", "step-00000020/../x\n"}) {
    SetLatest(folder, content);
    EXPECT_EQ(ValueOrThrow(LatestCheckpoint(folder)), folder / "step-00000040") << content;
  }
}

TEST(CheckpointFolder, TheNextWriterRemovesLeftoversAndNothingElse) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.path();
  for (const char* name : {"step-00000030.incoming-1-2", "step-00000040.deleting-1-2",
                           "step-00000010", "mine.incoming-1", "notes"}) {
    Touch(folder / name / "manifest.json");
  }
  Touch(folder / "latest.tmp.17");
  const fs::path incoming = ValueOrThrow(MakeIncoming(folder, 50, nullptr));
  EXPECT_EQ(NamesIn(folder), (std::set<std::string>{"step-00000010", "mine.incoming-1", "notes",
                                                    incoming.filename()}));
}

TEST(CheckpointFolder, SavingKeepsTheLastTheBestAndNothingElse) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.path();
  comm::RunRanks(2, [&](comm::Communicator& world) {
    Training training(world, {.blocks = 1});
    const std::vector<double> losses = {3, 1, 2, 5, 4};
    for (int64_t step = 1; step <= 5; ++step) {
      const SaveOptions options{.retention = {.keep_last = 2, .keep_best = 1}};
      ThrowIfError(training.Save(folder, {.step = step, .metric = losses[step - 1]}, options));
    }
  });
  EXPECT_EQ(NamesIn(folder),
            (std::set<std::string>{"latest", "step-00000002", "step-00000004", "step-00000005"}));
  EXPECT_EQ(ValueOrThrow(LatestCheckpoint(folder)), folder / "step-00000005");
}

TEST(CheckpointFolder, SavingAfterGoingBackMakesTheEarlierStepTheLatest) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.path();
  comm::RunRanks(1, [&](comm::Communicator& world) {
    Training training(world, {.blocks = 1});
    for (const int64_t step : {10, 20, 30, 15}) {
      const SaveOptions options{.retention = {.keep_last = step == 15 ? 2 : 0}};
      ThrowIfError(training.Save(folder, {.step = step}, options));
    }
  });
  EXPECT_EQ(ValueOrThrow(LatestCheckpoint(folder)), folder / "step-00000015");
  EXPECT_THAT(StepsIn(folder), ElementsAre("step-00000010", "step-00000015"));
}

}  // namespace
}  // namespace tanren::parallel
