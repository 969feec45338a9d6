#include "trainer/data/truncation.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Document FiveTokens() { return {.tokens = {1, 2, 3, 4, 5}, .weights = {0, 0, 0, 1, 1}}; }

TEST(Truncation, LeavesWhatFitsAlone) {
  for (int rule = DataRecipe::Truncation_MIN; rule <= DataRecipe::Truncation_MAX; ++rule) {
    Document document = FiveTokens();
    EXPECT_EQ(*Truncate(static_cast<DataRecipe::Truncation>(rule), 5, &document), Fit::kWhole);
    EXPECT_EQ(document.tokens.size(), 5u);
  }
}

TEST(Truncation, KeepsTheEndThatTheRecipeNames) {
  Document start = FiveTokens();
  EXPECT_EQ(*Truncate(DataRecipe::KEEP_START, 4, &start), Fit::kCut);
  EXPECT_THAT(start.tokens, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(start.weights, ElementsAre(0, 0, 0, 1));
  Document end = FiveTokens();
  EXPECT_EQ(*Truncate(DataRecipe::KEEP_END, 2, &end), Fit::kCut);
  EXPECT_THAT(end.tokens, ElementsAre(4, 5));
  EXPECT_DOUBLE_EQ(TargetWeight(end), 1) << "nothing predicts the first token";
}

TEST(Truncation, SaysWhenNoTargetIsLeft) {
  Document document = FiveTokens();
  EXPECT_EQ(*Truncate(DataRecipe::KEEP_START, 3, &document), Fit::kNoTargets);
  Document first_only{.tokens = {1, 2, 3}, .weights = {0, 1, 0}};
  EXPECT_EQ(*Truncate(DataRecipe::KEEP_END, 2, &first_only), Fit::kNoTargets);
}

TEST(Truncation, DropsOrFailsWhereTheRecipeSaysSo) {
  Document document = FiveTokens();
  EXPECT_EQ(*Truncate(DataRecipe::DROP, 4, &document), Fit::kTooLong);
  const auto failed = Truncate(DataRecipe::FAIL, 4, &document);
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("5 tokens, where"));
}

}  // namespace
}  // namespace tanren::trainer
