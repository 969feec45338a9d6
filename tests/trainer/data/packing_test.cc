#include "trainer/data/packing.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/random.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Packing, PutsEachDocumentIntoTheFirstRowWithRoom) {
  const std::vector<int64_t> lengths = {6, 5, 4, 3, 9};
  const auto rows = PackFirstFit(lengths, 2, 10);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(*rows, ElementsAre(ElementsAre(0, 2), ElementsAre(1, 3)));
  EXPECT_EQ(DocumentCount(*rows), 4u) << "the document of 9 tokens starts the next step";
}

TEST(Packing, TakesAPrefixOfTheOrderEachDocumentOnceAndOverfillsNoRow) {
  RandomStream stream(1, RandomPurpose::kShuffle);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int64_t> lengths(50);
    for (int64_t& length : lengths) length = 1 + static_cast<int64_t>(stream.NextBelow(64));
    const auto rows = PackFirstFit(lengths, 8, 64);
    ASSERT_TRUE(rows.ok());
    std::set<size_t> taken;
    for (const Row& row : *rows) {
      int64_t used = 0;
      for (size_t i : row) {
        used += lengths[i];
        EXPECT_TRUE(taken.insert(i).second);
      }
      EXPECT_LE(used, 64);
    }
    ASSERT_FALSE(taken.empty());
    EXPECT_EQ(*taken.rbegin() + 1, taken.size());
  }
}

TEST(Packing, ADocumentThatCannotFitIsAnErrorThatNamesIt) {
  const std::vector<int64_t> too_long = {3, 11};
  for (const auto& rows : {PackFirstFit(too_long, 2, 10), OneDocumentPerRow(too_long, 2, 10)}) {
    ASSERT_FALSE(rows.ok());
    EXPECT_THAT(std::string(rows.status().message()), HasSubstr("document 1: 11 tokens"));
  }
  const std::vector<int64_t> empty = {0};
  EXPECT_FALSE(PackFirstFit(empty, 1, 10).ok());
}

TEST(RowsOf, EveryRowGoesToExactlyOneRankAndMicroBatch) {
  std::vector<int> owners(24, 0);
  for (int rank = 0; rank < 4; ++rank) {
    for (int micro_batch = 0; micro_batch < 3; ++micro_batch) {
      const RowRange range = RowsOf(24, 4, rank, 3, micro_batch);
      EXPECT_EQ(range.end - range.begin, 2u);
      for (size_t row = range.begin; row < range.end; ++row) ++owners[row];
    }
  }
  EXPECT_THAT(owners, testing::Each(1));
}

TEST(RowsOf, MicroBatchesDifferByAtMostOneRow) {
  std::vector<int> owners(14, 0);
  for (int rank = 0; rank < 2; ++rank) {
    for (int micro_batch = 0; micro_batch < 3; ++micro_batch) {
      const RowRange range = RowsOf(14, 2, rank, 3, micro_batch);
      EXPECT_THAT(range.end - range.begin, testing::AnyOf(2u, 3u));
      for (size_t row = range.begin; row < range.end; ++row) ++owners[row];
    }
  }
  EXPECT_THAT(owners, testing::Each(1));
}

TEST(RowsOf, RefusesRowsThatDoNotDivide) { EXPECT_ANY_THROW(RowsOf(10, 4, 0, 1, 0)); }

}  // namespace
}  // namespace tanren::trainer
