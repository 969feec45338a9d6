// The recipes of deploy/recipes. (The working directory of tests is the source tree.)
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "runtime/base/file.h"
#include "runtime/config/recipe_file.h"
#include "runtime/config/recipe_text.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;

TEST(ShippedRecipes, EachLoadsStrictlyAndReadsBackFromItsResolvedText) {
  for (const char* name : {"TANREN_MODEL", "TANREN_DATA", "TANREN_TOKENIZER"}) unsetenv(name);
  setenv("HOME", "/home_of_test", 1);
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator("deploy/recipes")) {
    if (entry.path().extension() != ".yaml") continue;
    const absl::StatusOr<Recipe> recipe = LoadRecipe(entry.path());
    ASSERT_TRUE(recipe.ok()) << recipe.status();
    EXPECT_TRUE(names.insert(recipe->name()).second) << recipe->name() << " names two runs";
    const absl::StatusOr<Recipe> back = ParseRecipe(WriteRecipe(*recipe), "/elsewhere/r.yaml");
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*recipe, *back)) << entry.path();
    // A comment on top says when to use it.
    EXPECT_THAT(*ReadFile(entry.path()), testing::StartsWith("# ")) << entry.path();
  }
  EXPECT_GE(names.size(), 6);
}

TEST(ShippedRecipes, TheQuickstartsDifferOnlyInTheirDataAndTheLengthOfAnswers) {
  const absl::StatusOr<Recipe> direct = LoadRecipe("deploy/recipes/quickstart_direct.yaml");
  const absl::StatusOr<Recipe> reasoning = LoadRecipe("deploy/recipes/quickstart_reasoning.yaml");
  ASSERT_TRUE(direct.ok() && reasoning.ok());
  std::vector<std::string> keys;
  for (const RecipeDifference& difference : Differences(*direct, *reasoning)) {
    keys.push_back(difference.key);
  }
  EXPECT_THAT(keys, testing::ElementsAre("name", "data.sources[0].path", "data.validation[0].path",
                                         "evaluation.questions", "evaluation.answer_after",
                                         "generation.max_new_tokens"));
}

}  // namespace
}  // namespace tanren
