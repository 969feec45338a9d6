#include "runtime/config/recipe_text.h"

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "tests/runtime/config/reading.h"

namespace tanren {
namespace {

using google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

// With everything that is hard to write: lists, quotes, numbers that look like text.
Recipe Difficult() {
  Recipe recipe = *Parse(
      "name: 'no'\n"
      "model: {path: \"/a b/日本 #1\", tokenizer: \"/x/$${y}\"}\n"
      "data:\n"
      "  sources:\n"
      "    - {path: a.jsonl, weight: 0.1}\n"
      "    - {path: b.jsonl, weight: 3e-7, format: messages}\n"
      "  chat_template_variables: '{\"enable_thinking\": false}'\n"
      "training: {steps: 10, seed: 18446744073709551615}\n"
      "generation: {stop: [\"\\n\\n\", '\"', \"\\\\\", '', 'a, b', \"\\x01\"]}\n");
  return recipe;
}

TEST(RecipeText, WhatIsWrittenReadsBackAsTheSameRecipe) {
  const Recipe recipe = Difficult();
  const std::string text = WriteRecipe(recipe);
  const absl::StatusOr<Recipe> back = Parse(text);
  ASSERT_TRUE(back.ok()) << back.status() << "\n" << text;
  EXPECT_TRUE(MessageDifferencer::Equals(recipe, *back)) << text;
  EXPECT_EQ(WriteRecipe(*back), text);
}

TEST(RecipeText, EveryFieldIsWritten) {
  const std::string text = WriteRecipe(*Parse(kComplete));
  for (const char* line : {"\n  zero_stage: 3\n", "\n  learning_rate: 2e-05\n", "\n  stop: []\n",
                           "\n    - path: /", "\n      format: auto\n", "\n  config: \"\"\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(RecipeText, DefaultsCountAsIfTheyWereWritten) {
  Recipe given = *Parse(std::string(kComplete) + "optimizer: {kind: adamw, beta1: 0.9}\n");
  Recipe bare;
  EXPECT_EQ(Digest(given), Digest(*Parse(kComplete)));
  Recipe filled;
  FillDefaults(filled);
  EXPECT_EQ(Digest(bare), Digest(filled));
  EXPECT_TRUE(Differences(bare, filled).empty());
}

TEST(RecipeText, TheDigestIsStableAndTellsRecipesApart) {
  Recipe recipe;
  EXPECT_EQ(Digest(recipe), "cbf29ce484222325");  // of nothing, by the definition of FNV-1a
  recipe.mutable_training()->set_steps(10);
  const std::string ten = Digest(recipe);
  EXPECT_EQ(ten, "5b465af5fd1e5b25");
  recipe.mutable_training()->set_steps(11);
  EXPECT_NE(Digest(recipe), ten);
}

TEST(RecipeText, DifferencesNameKeysAndBothValues) {
  const Recipe before = Difficult();
  Recipe after = before;
  after.mutable_optimizer()->set_learning_rate(1e-3);
  after.mutable_data()->mutable_sources()->RemoveLast();
  const std::vector<RecipeDifference> differences = Differences(before, after);
  ASSERT_EQ(differences.size(), 4);
  EXPECT_EQ(differences[0].key, "optimizer.learning_rate");
  EXPECT_EQ(differences[0].before, "2e-05");
  EXPECT_EQ(differences[0].after, "0.001");
  EXPECT_EQ(differences[1].key, "data.sources[1].path");
  EXPECT_EQ(differences[1].after, "");
}

}  // namespace
}  // namespace tanren
