#include "coordinator/store/epoch.h"

#include "gtest/gtest.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kBackup = 1'795'000'000'000;

TEST(Epoch, ANewHistoryBeginsAtTheWallClockAndJobOne) {
  const NextEpoch next = EpochAfter(0, 1, 0, kBackup);
  EXPECT_EQ(next.epoch, static_cast<uint64_t>(kBackup));
  EXPECT_EQ(next.next_job, 1);
}

TEST(Epoch, TheSameBackupRestoredTwiceSharesNeitherEpochsNorIds) {
  const uint64_t old = kBackup - 5'000'000;
  const NextEpoch first = EpochAfter(old, 500, kBackup, kBackup + 60'000);
  // It ran for a minute, giving 1,000 ids a second, and was lost.
  const uint64_t given = first.next_job + 60'000;
  const NextEpoch second = EpochAfter(old, 500, kBackup, kBackup + 120'000);
  EXPECT_GT(first.epoch, old);
  EXPECT_GT(second.epoch, first.epoch);
  EXPECT_GE(second.next_job, given);
}

TEST(Epoch, IdsGivenBetweenTheBackupAndTheLossArePassedOver) {
  EXPECT_GE(EpochAfter(7, 500, kBackup, kBackup + 1).next_job, 500 + 100'000);
  EXPECT_GE(EpochAfter(7, 500, kBackup, kBackup + 3'600'000).next_job, 500 + 3'600 * 100'000ull);
}

TEST(Epoch, BothGrowThoughTheClockWasSetBack) {
  const NextEpoch next = EpochAfter(kBackup, 500, kBackup, 1'000);
  EXPECT_EQ(next.epoch, static_cast<uint64_t>(kBackup) + 1);
  EXPECT_GT(next.next_job, 500);
  EXPECT_EQ(EpochAfter(3, 5, 0, -7).epoch, 4);
}

}  // namespace
}  // namespace tanren::coordinator
