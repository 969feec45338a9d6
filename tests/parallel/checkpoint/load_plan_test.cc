#include "parallel/checkpoint/load_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tanren::parallel {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

const TensorId kA{"a", kMaster};

std::vector<StoredPiece> Stored(const std::vector<ElementRange>& ranges) {
  std::vector<StoredPiece> pieces;
  for (const ElementRange& range : ranges) pieces.push_back({kA, {2, 5}, range});
  return pieces;
}

// Pieces of all ranks, and each element's value: 1000 × parameter + its index.
struct World {
  std::vector<StoredPiece> pieces;
  std::vector<std::vector<int>> values;
};

const std::vector<ParameterShape> kParameters = {
    {"a", {7, 9}}, {"b", {}}, {"c", {0, 4}}, {"d", {100}}};

World MakeWorld(int world_size, int64_t alignment) {
  World world;
  const ShardLayout layout(kParameters, world_size, alignment);
  for (int rank = 0; rank < world_size; ++rank) {
    for (const Piece& piece : layout.PiecesOf(rank)) {
      world.pieces.push_back({{piece.name, kMaster}, piece.shape, piece.range});
      auto& values = world.values.emplace_back();
      for (int64_t i = piece.range.begin; i < piece.range.end; ++i) {
        values.push_back(static_cast<int>(1000 * (piece.name[0] - 'a') + i));
      }
    }
  }
  return world;
}

TEST(LoadPlan, AnyWorldSizeIsLoadedByAnyOther) {
  for (const int from : {1, 2, 3, 4, 7, 16}) {
    for (const int to : {1, 2, 3, 5, 8, 33}) {
      const World source = MakeWorld(from, 4), target = MakeWorld(to, 1);
      const auto stored = StoredTensors::Make(source.pieces);
      ASSERT_TRUE(stored.ok()) << stored.status();
      std::vector<WantedPiece> wanted;
      for (const StoredPiece& one : target.pieces) wanted.push_back({one.id, one.shape, one.range});
      const auto plan = PlanLoad(*stored, wanted);
      ASSERT_TRUE(plan.ok()) << plan.status();
      for (size_t i = 0; i < wanted.size(); ++i) {
        std::vector<int> values;
        for (const PlannedCopy& copy : (*plan)[i]) {
          const int64_t begin = source.pieces[copy.piece].range.begin;
          for (int64_t e = copy.range.begin; e < copy.range.end; ++e) {
            values.push_back(source.values[copy.piece].at(e - begin));
          }
        }
        EXPECT_EQ(values, target.values[i]) << from << " to " << to << ", piece " << i;
      }
    }
  }
}

TEST(LoadPlan, TakesNothingThatIsNotWanted) {
  const auto stored = StoredTensors::Make(Stored({{6, 10}, {0, 3}, {3, 6}}));
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_THAT(*stored->Plan(kA, {3, 6}), ElementsAre(PlannedCopy{2, {3, 6}}));
  EXPECT_THAT(*stored->Plan(kA, {2, 7}),
              ElementsAre(PlannedCopy{1, {2, 3}}, PlannedCopy{2, {3, 6}}, PlannedCopy{0, {6, 7}}));
  EXPECT_THAT(*stored->Plan(kA, {4, 4}), ElementsAre());
  EXPECT_THAT(*stored->Plan(kA, {10, 10}), ElementsAre());
}

TEST(LoadPlan, AGapIsAnErrorThatNamesIt) {
  for (const auto& [ranges, gap] : std::vector<std::pair<std::vector<ElementRange>, std::string>>{
           {{{0, 3}, {4, 10}}, "3 to 4 of 10"},
           {{{1, 10}}, "0 to 1 of 10"},
           {{{0, 9}}, "9 to 10 of 10"}}) {
    const auto stored = StoredTensors::Make(Stored(ranges));
    EXPECT_THAT(MessageOf(stored.status()),
                AllOf(HasSubstr("master of 'a'"), HasSubstr(gap), HasSubstr("not stored")));
  }
}

TEST(LoadPlan, AnOverlapIsAnErrorThatNamesIt) {
  EXPECT_THAT(MessageOf(StoredTensors::Make(Stored({{0, 6}, {4, 10}})).status()),
              AllOf(HasSubstr("master of 'a'"), HasSubstr("4 to 6 are stored more than once")));
  EXPECT_THAT(MessageOf(StoredTensors::Make(Stored({{0, 10}, {0, 10}})).status()),
              HasSubstr("0 to 10 are stored more than once"));
}

TEST(LoadPlan, PiecesOutsideTheirTensorAreErrors) {
  for (const ElementRange range : {ElementRange{-1, 10}, {0, 11}, {5, 5}, {6, 5}}) {
    EXPECT_THAT(MessageOf(StoredTensors::Make(Stored({range})).status()),
                AllOf(HasSubstr("master of 'a'"), HasSubstr("of 10")));
  }
  EXPECT_FALSE(StoredTensors::Make({{kA, {int64_t{1} << 40, int64_t{1} << 40}, {0, 1}}}).ok());
  EXPECT_FALSE(StoredTensors::Make({{kA, {-2, -5}, {0, 10}}}).ok());
}

TEST(LoadPlan, ShapesThatDifferAreErrorsThatShowBoth) {
  auto pieces = Stored({{0, 5}, {5, 10}});
  pieces[1].shape = {5, 2};
  EXPECT_THAT(MessageOf(StoredTensors::Make(pieces).status()),
              AllOf(HasSubstr("'a'"), HasSubstr("[2, 5]"), HasSubstr("[5, 2]")));
  const auto stored = StoredTensors::Make(Stored({{0, 10}}));
  EXPECT_THAT(MessageOf(PlanLoad(*stored, {{kA, {10}, {0, 4}}}).status()),
              AllOf(HasSubstr("'a'"), HasSubstr("[2, 5]"), HasSubstr("[10]")));
}

TEST(LoadPlan, WhatIsNotStoredIsAnErrorThatNamesIt) {
  const auto stored = StoredTensors::Make(Stored({{0, 10}}));
  EXPECT_THAT(MessageOf(stored->Plan({"a", "exp_avg"}, {0, 1}).status()),
              HasSubstr("exp_avg of 'a' is not stored"));
  EXPECT_EQ(stored->Plan(kA, {0, 11}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(stored->Plan(kA, {-1, 1}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(stored->Plan(kA, {3, 2}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(LoadPlan, TensorsOfTwoModelsAreComparedByNameKindAndShape) {
  const std::map<TensorId, std::vector<int64_t>> model = {{kA, {2, 5}}, {{"b", kMaster}, {3}}};
  EXPECT_TRUE(CheckSameTensors(model, model).ok());
  EXPECT_THAT(MessageOf(CheckSameTensors(model, {{kA, {2, 5}}, {{"c", kMaster}, {3}}})),
              AllOf(HasSubstr("1 wanted but not stored: master of 'c'"),
                    HasSubstr("1 stored but not wanted: master of 'b'")));
  EXPECT_THAT(MessageOf(CheckSameTensors(model, {{kA, {10}}, {{"b", kMaster}, {3}}})),
              HasSubstr("master of 'a' is stored as [2, 5] and wanted as [10]"));
  EXPECT_FALSE(CheckSameTensors(model, {{kA, {2, 5}}, {{"b", kFrozen}, {3}}}).ok());
}

}  // namespace
}  // namespace tanren::parallel
