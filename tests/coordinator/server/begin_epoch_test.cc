#include "coordinator/server/begin_epoch.h"

#include "coordinator/state/core.h"
#include "coordinator/store/memory_store.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kWall = 1'795'000'000'000;

// What a coordinator that starts on `store` goes on from.
Cluster StartOn(Store& store, int64_t wall_ms) {
  Cluster cluster = ValueOrThrow(Restore(ValueOrThrow(store.Records())));
  ThrowIfError(BeginEpochIfNeeded(store, cluster, {wall_ms, wall_ms - kWall + 1000}));
  return cluster;
}

TEST(BeginEpoch, ANewHistoryGetsItsFirstAndARestartNoFurther) {
  MemoryStore store;
  const Cluster first = StartOn(store, kWall);
  EXPECT_EQ(first.epoch, static_cast<uint64_t>(kWall));
  EXPECT_EQ(first.next_job, 1);
  EXPECT_EQ(store.last_sequence(), 1);
  store.Crash();
  const Cluster again = StartOn(store, kWall + 5000);
  EXPECT_EQ(again.epoch, first.epoch);
  EXPECT_EQ(store.last_sequence(), 1);
}

TEST(BeginEpoch, TheSameBackupRestoredTwiceGivesOtherEpochsAndIds) {
  MemoryStore store;
  const Cluster original = StartOn(store, kWall);
  const MemoryImage backup = store.Image();
  MemoryStore first(backup), second(backup);
  const Cluster one = StartOn(first, kWall + 60'000);
  const Cluster two = StartOn(second, kWall + 120'000);
  EXPECT_GT(one.epoch, original.epoch);
  EXPECT_GT(two.epoch, one.epoch);
  EXPECT_GE(one.next_job, original.next_job + 60 * 100'000);
  EXPECT_GE(two.next_job, one.next_job + 60 * 100'000);
  // Durable, with its records.
  second.Crash();
  EXPECT_EQ(StartOn(second, kWall + 130'000).epoch, two.epoch);
  EXPECT_FALSE(second.needs_new_epoch());
}

TEST(BeginEpoch, AnEpochThatIsNotDurableIsAnError) {
  MemoryStore store;
  store.InjectFault(StoreFault::kDiskFull);
  Cluster cluster;
  EXPECT_FALSE(BeginEpochIfNeeded(store, cluster, {kWall, 0}).ok());
}

}  // namespace
}  // namespace tanren::coordinator
