// The faults that a simulation injects.
#include "coordinator/store/memory_store.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "tests/coordinator/store/history_samples.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(MemoryStore, ALyingDiskLosesWhatItAcknowledgedAndAllAfterIt) {
  MemoryStore store;
  ASSERT_TRUE(store.Write({{EpochBegan(1)}, {JobRecord(1, "a")}}).ok());
  store.InjectFault(StoreFault::kLostAtCrash, 1);
  ASSERT_TRUE(store.Write({{Submitted(2, 1)}, {}}).ok());
  ASSERT_TRUE(store.Write({{Submitted(3, 2)}, {JobRecord(1, "b")}}).ok());
  ASSERT_TRUE(store.Write({{Submitted(4, 3)}, {}}).ok());
  EXPECT_EQ(store.last_sequence(), 4);
  store.Crash();
  EXPECT_EQ(store.last_sequence(), 2);
  EXPECT_THAT(TextsOf(ValueOrThrow(store.Records())), ElementsAre("2/00000000000000000001=a"));
  store.Crash();
  EXPECT_EQ(store.last_sequence(), 2);
}

TEST(MemoryStore, ATornCommitHasItsEventsWithoutItsRecordsAfterACrash) {
  MemoryStore store;
  store.InjectFault(StoreFault::kTorn);
  EXPECT_FALSE(store.Write({{EpochBegan(1)}, {JobRecord(1, "a")}}).ok());
  EXPECT_EQ(store.last_sequence(), 0);
  store.Crash();
  EXPECT_EQ(store.last_sequence(), 1);
  EXPECT_THAT(ValueOrThrow(store.Records()), IsEmpty());
}

TEST(MemoryStore, AFullDiskSaysSoAndKeepsWhatWasThere) {
  MemoryStore store;
  store.InjectFault(StoreFault::kDiskFull);
  EXPECT_EQ(store.Write({{EpochBegan(1)}, {}}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(store.is_broken());
  store.Crash();
  EXPECT_EQ(store.last_sequence(), 0);
  EXPECT_TRUE(store.Write({{EpochBegan(1)}, {}}).ok());
}

TEST(MemoryStore, AnOldImageIsAStoreOfItsOwnThatNeedsANewEpoch) {
  MemoryStore store;
  ASSERT_TRUE(store.Write({{EpochBegan(1)}, {}}).ok());
  const MemoryImage old = store.Image();
  ASSERT_TRUE(store.Write({{Submitted(2, 1)}, {}}).ok());
  MemoryStore second(old);
  EXPECT_TRUE(second.needs_new_epoch());
  ASSERT_TRUE(second.Write({{EpochBegan(2, 7)}, {}}).ok());
  EXPECT_EQ(ValueOrThrow(store.Events(2, 1))[0].has_job_submitted(), true);
  EXPECT_EQ(ValueOrThrow(second.Events(2, 1))[0].has_epoch_began(), true);
}

}  // namespace
}  // namespace tanren::coordinator
