#include "parallel/layout/shard_layout.h"

#include <gtest/gtest.h>

#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

const std::vector<ParameterShape> kParameters = {
    {"a", {3, 2}}, {"empty", {0, 5}}, {"b", {7}}, {"c", {}}};

TEST(ShardLayout, ParametersStartAtMultiplesOfTheAlignmentInTheirOrder) {
  const ShardLayout layout(kParameters, 2, 4);
  std::vector<int64_t> offsets, numels;
  for (const PlacedParameter& parameter : layout.parameters()) {
    offsets.push_back(parameter.offset);
    numels.push_back(parameter.numel);
  }
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 8, 8, 16}));
  EXPECT_EQ(numels, (std::vector<int64_t>{6, 0, 7, 1}));
  EXPECT_EQ(layout.padded_numel(), 24);
  EXPECT_EQ(layout.shard_numel(), 12);
  EXPECT_EQ(layout.RangeOf(1), (ElementRange{12, 24}));
}

TEST(ShardLayout, PiecesSayWhichRangeOfWhichParameterLiesWhere) {
  const ShardLayout layout(kParameters, 2, 4);
  EXPECT_EQ(layout.PiecesOf(0),
            (std::vector<Piece>{{"a", {3, 2}, {0, 6}, 0}, {"b", {7}, {0, 4}, 8}}));
  EXPECT_EQ(layout.PiecesOf(1), (std::vector<Piece>{{"b", {7}, {4, 7}, 0}, {"c", {}, {0, 1}, 4}}));
}

struct Size {
  int world_size;
  int64_t alignment;
};

class ShardLayoutSizes : public testing::TestWithParam<Size> {};

TEST_P(ShardLayoutSizes, EveryElementIsOwnedExactlyOnce) {
  const auto [world_size, alignment] = GetParam();
  const ShardLayout layout(kParameters, world_size, alignment);
  EXPECT_EQ(layout.shard_numel() % alignment, 0);
  EXPECT_EQ(layout.padded_numel(), layout.shard_numel() * world_size);
  std::vector<int> owners(layout.padded_numel());
  for (int rank = 0; rank < world_size; ++rank) {
    for (const Piece& piece : layout.PiecesOf(rank)) {
      for (const PlacedParameter& parameter : layout.parameters()) {
        if (parameter.name != piece.name) continue;
        for (int64_t i = 0; i < piece.range.size(); ++i) {
          // The same element by its place in the shard and by its place in the parameter.
          const int64_t place = layout.RangeOf(rank).begin + piece.shard_offset + i;
          EXPECT_EQ(place, parameter.offset + piece.range.begin + i);
          ++owners.at(place);
        }
      }
    }
  }
  int64_t owned = 0;
  for (int count : owners) {
    EXPECT_LE(count, 1);
    owned += count;
  }
  EXPECT_EQ(owned, 6 + 7 + 1);
}

INSTANTIATE_TEST_SUITE_P(Table, ShardLayoutSizes,
                         testing::Values(Size{1, 1}, Size{2, 1}, Size{3, 1}, Size{4, 4}, Size{5, 2},
                                         Size{16, 1}, Size{2, 64}));

TEST(ShardLayout, BadSizesAreErrors) {
  EXPECT_THROW(ShardLayout({{"a", {-1}}}, 1, 1), Error);
  EXPECT_THROW(ShardLayout({{"a", {int64_t{1} << 40, int64_t{1} << 40}}}, 1, 1), Error);
  EXPECT_THROW(ShardLayout({{"a", {int64_t{1} << 62}}, {"b", {int64_t{1} << 62}}}, 1, 1), Error);
  EXPECT_THROW(ShardLayout({{"a", {1}}, {"a", {1}}}, 1, 1), Error);
  EXPECT_THROW(ShardLayout({{"a", {1}}}, 0, 1), Error);
  EXPECT_THROW(ShardLayout({{"a", {1}}}, 1, 0), Error);
  EXPECT_THROW(ShardLayout(kParameters, 2, 4).RangeOf(2), Error);
}

}  // namespace
}  // namespace tanren::parallel
