#include "trainer/data/row_order.h"

#include <cmath>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RowOrder, EachPassTakesEveryRowOnceInAnOrderOfItsOwn) {
  RowOrder order({{5, 40, 1}}, 7, true);
  std::set<std::vector<uint64_t>> passes;
  for (uint64_t pass = 0; pass < 3; ++pass) {
    std::vector<uint64_t> rows;
    for (uint64_t i = 0; i < 40; ++i) rows.push_back(order.RowAt(0, 40 * pass + i));
    passes.insert(rows);
    const std::set<uint64_t> distinct(rows.begin(), rows.end());
    EXPECT_EQ(distinct.size(), 40u);
    EXPECT_EQ(*distinct.begin(), 5u);
    EXPECT_EQ(*distinct.rbegin(), 44u);
  }
  EXPECT_EQ(passes.size(), 3u);
}

TEST(RowOrder, IsAFunctionOfTheSeedAndTheIndexAlone) {
  RowOrder order({{0, 40, 1}}, 7, true);
  RowOrder again({{0, 40, 1}}, 7, true);
  RowOrder other({{0, 40, 1}}, 8, true);
  std::vector<uint64_t> rows(120), other_rows(120);
  for (uint64_t i = 0; i < 120; ++i) rows[i] = order.RowAt(0, i);
  for (uint64_t i = 120; i-- > 0;) EXPECT_EQ(again.RowAt(0, i), rows[i]);
  for (uint64_t i = 0; i < 120; ++i) other_rows[i] = other.RowAt(0, i);
  EXPECT_NE(rows, other_rows);
}

TEST(RowOrder, WithoutShufflingFollowsTheFiles) {
  RowOrder order({{0, 3, 1}}, 7, false);
  for (uint64_t i = 0; i < 7; ++i) EXPECT_EQ(order.RowAt(0, i), i % 3);
}

TEST(RowOrder, WeightsAreHonouredWithinWhatIndependentDrawsAllow) {
  const std::vector<double> weights = {1, 5, 0.5, 3.5};
  RowOrder order({{0, 10, 1}, {10, 10, 5}, {20, 10, 0.5}, {30, 10, 3.5}}, 3, true);
  constexpr int kDocuments = 100000;
  std::vector<double> found(4, 0);
  for (uint64_t i = 0; i < kDocuments; ++i) ++found[order.StrandOf(i)];
  double chi_square = 0;
  for (size_t s = 0; s < 4; ++s) {
    const double expected = kDocuments * weights[s] / 10;
    chi_square += (found[s] - expected) * (found[s] - expected) / expected;
  }
  // 3 degrees of freedom: 21.1 is passed once in 10,000 seeds.
  EXPECT_LT(chi_square, 21.1);
  EXPECT_GT(chi_square, 0) << "independent draws don't hit every count exactly";
}

TEST(Strands, WithoutWeightsAllRowsAreOneStrand) {
  const auto strands = MakeStrands({3, 0, 4}, {0, 0, 0});
  ASSERT_TRUE(strands.ok());
  ASSERT_EQ(strands->size(), 1u);
  EXPECT_EQ((*strands)[0].row_count, 7u);
  const auto one = MakeStrands({3}, {2.5});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ((*one)[0].row_count, 3u);
}

TEST(Strands, WithWeightsEachSourceThatHasOneIsAStrand) {
  const auto strands = MakeStrands({3, 2, 4}, {1, 0, 2});
  ASSERT_TRUE(strands.ok());
  ASSERT_EQ(strands->size(), 2u);
  EXPECT_EQ((*strands)[1].first_row, 5u);
  EXPECT_EQ((*strands)[1].row_count, 4u);
  EXPECT_EQ((*strands)[1].weight, 2);
}

TEST(Strands, NoRowsAtAllIsAnError) {
  EXPECT_THAT(std::string(MakeStrands({0, 0}, {0, 0}).status().message()), HasSubstr("no row"));
  EXPECT_THAT(std::string(MakeStrands({4, 0}, {1, 1}).status().message()),
              HasSubstr("data.sources[1] has weight 1 and no row"));
}

}  // namespace
}  // namespace tanren::trainer
