#include "tests/runtime/comm/race_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tanren::comm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = RaceDetector::Kind;

constexpr int kComputation = RaceDetector::kComputation;

class Races : public ::testing::Test {
 protected:
  void Computes(Kind kind, int64_t first = 0, int64_t count = 16) {
    races_.Access(kComputation, memory_ + first, count, kind, "sum");
  }
  void Gathers() { races_.Access(ours_, memory_, 16, Kind::kWrite, "gather"); }

  RaceDetector races_;
  int ours_ = races_.NewStream();
  char memory_[32] = {};
  int written_ = 0, read_ = 0;  // events, by their addresses
};

TEST_F(Races, WhatIsReadBeforeItsEventIsOne) {
  Gathers();
  Computes(Kind::kRead);
  EXPECT_THAT(races_.races(),
              ElementsAre("the computation's sum reads what gather on stream 1 may still write"));
}

TEST_F(Races, WhatIsReadAfterItsEventIsNone) {
  Gathers();
  races_.Record(&written_, ours_);
  races_.Wait(kComputation, &written_);
  Computes(Kind::kRead);
  Computes(Kind::kWrite);
  EXPECT_THAT(races_.races(), IsEmpty());
}

TEST_F(Races, AnEventStandsForWhatCameBeforeItOnly) {
  races_.Record(&written_, ours_);
  Gathers();
  races_.Wait(kComputation, &written_);
  Computes(Kind::kRead);
  EXPECT_EQ(races_.races().size(), 1u);
}

TEST_F(Races, WhatIsRefilledBeforeItsReaderHasPassedIsOne) {
  Computes(Kind::kRead);
  Gathers();
  EXPECT_THAT(
      races_.races(),
      ElementsAre("gather on stream 1 overwrites what the computation's sum may still read"));
}

TEST_F(Races, AnEventOfTheReadersOrdersTheRefill) {
  Computes(Kind::kRead);
  races_.Record(&read_, kComputation);
  races_.Wait(ours_, &read_);
  Gathers();
  EXPECT_THAT(races_.races(), IsEmpty());
}

TEST_F(Races, OrderPassesThroughAThirdStream) {
  const int third = races_.NewStream();
  Gathers();
  races_.Record(&written_, ours_);
  races_.Wait(third, &written_);
  races_.Record(&read_, third);
  races_.Wait(kComputation, &read_);
  Computes(Kind::kRead);
  EXPECT_THAT(races_.races(), IsEmpty());
}

TEST_F(Races, OtherMemoryAndTwoReadersAreNone) {
  Gathers();
  Computes(Kind::kWrite, 16, 16);
  races_.Access(ours_, memory_ + 16, 0, Kind::kRead, "nothing");
  races_.Record(&written_, ours_);
  races_.Wait(kComputation, &written_);
  Computes(Kind::kRead);
  races_.Access(ours_, memory_, 16, Kind::kRead, "send");
  EXPECT_THAT(races_.races(), IsEmpty());
}

TEST_F(Races, MemoryMayBeGivenBackOnceTheHostHasSeenItsEvent) {
  Gathers();
  races_.Free(memory_, 16);
  EXPECT_EQ(races_.races().size(), 1u);
  Gathers();
  races_.Record(&written_, ours_);
  races_.SeenByHost(&written_);
  races_.Free(memory_, 16);
  Computes(Kind::kWrite);  // by its next owner
  EXPECT_EQ(races_.races().size(), 1u);
}

}  // namespace
}  // namespace tanren::comm
