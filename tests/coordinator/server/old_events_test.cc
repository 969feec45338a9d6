#include "coordinator/server/old_events.h"

#include <vector>

#include "coordinator/store/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kHourMs = 3'600'000;

// One event each `apart_ms`.
void AddEvents(Store& store, int count, int64_t apart_ms) {
  Commit commit;
  for (int i = 0; i < count; ++i) {
    HistoryEvent event;
    event.set_sequence(store.last_sequence() + 1 + i);
    event.set_time_ms(1'800'000'000'000 + static_cast<int64_t>(event.sequence()) * apart_ms);
    if (event.sequence() == 1) event.mutable_epoch_began()->set_epoch(1);
    commit.events.push_back(event);
  }
  ASSERT_TRUE(store.Write(commit).ok());
}

uint64_t Oldest(Store& store) { return ValueOrThrow(store.Events(1, 1)).at(0).sequence(); }

TEST(OldEvents, LeaveTheStoreAndYoungOnesStay) {
  MemoryStore store;
  AddEvents(store, 100, kHourMs);
  OldEvents old(10 * kHourMs);
  ASSERT_TRUE(old.Look(store, 1).ok());
  // The newest is the 100th, and the 90th is ten hours older.
  EXPECT_EQ(Oldest(store), 90u);
  EXPECT_EQ(store.last_sequence(), 100u);
}

TEST(OldEvents, AreLookedForNowAndThen) {
  MemoryStore store;
  AddEvents(store, 20, kHourMs);
  OldEvents old(10 * kHourMs);
  ASSERT_TRUE(old.Look(store, 1).ok());
  AddEvents(store, 20, kHourMs);
  ASSERT_TRUE(old.Look(store, 1000).ok());
  EXPECT_EQ(Oldest(store), 10u);
  ASSERT_TRUE(old.Look(store, 100'000).ok());
  EXPECT_EQ(Oldest(store), 30u);
}

TEST(OldEvents, OfALongTimeLeaveInPieces) {
  MemoryStore store;
  AddEvents(store, 7'000, kHourMs);
  OldEvents old(kHourMs);
  ASSERT_TRUE(old.Look(store, 1).ok());
  EXPECT_GT(Oldest(store), 1u);
  EXPECT_LT(Oldest(store), 6'000u);
  int looks = 1;
  for (int64_t now = 1; Oldest(store) < 6'999u && looks < 100; ++looks) {
    ASSERT_TRUE(old.Look(store, now += 1'000).ok());
  }
  EXPECT_EQ(Oldest(store), 6'999u);
  EXPECT_GT(looks, 3);
}

TEST(OldEvents, OfASilentCoordinatorAndTheLastOneStay) {
  MemoryStore store;
  AddEvents(store, 1, kHourMs);
  OldEvents old(1);
  ASSERT_TRUE(old.Look(store, 1).ok());
  ASSERT_TRUE(old.Look(store, 1'000'000'000'000).ok());
  EXPECT_EQ(Oldest(store), 1u);
}

TEST(OldEvents, AreKeptForEverWhereNoTimeIsSaid) {
  MemoryStore store;
  AddEvents(store, 10, 1'000 * kHourMs);
  OldEvents old(0);
  ASSERT_TRUE(old.Look(store, 1).ok());
  EXPECT_EQ(Oldest(store), 1u);
}

}  // namespace
}  // namespace tanren::coordinator
