#include "runtime/config/paths.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/config/reading.h"

namespace tanren {
namespace {

using ::testing::HasSubstr;

TEST(Paths, RelativeOnesAreBesideTheRecipe) {
  const absl::StatusOr<Recipe> recipe = ParseRecipe(
      "model: {path: ../models/m, tokenizer: /t/./x}\n"
      "data: {sources: [{path: a.jsonl}], validation: [{path: /v.jsonl}]}\n"
      "training: {steps: 1}\n",
      "/srv/recipes/r.yaml");
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->model().path(), "/srv/models/m");
  EXPECT_EQ(recipe->model().tokenizer(), "/t/x");
  EXPECT_EQ(recipe->model().chat_template(), "");
  EXPECT_EQ(recipe->data().sources(0).path(), "/srv/recipes/a.jsonl");
  EXPECT_EQ(recipe->data().validation(0).path(), "/v.jsonl");
}

TEST(Paths, DataAreInTheFolderOfTheData) {
  const absl::StatusOr<Recipe> recipe = ParseRecipe(
      "model: {path: m}\n"
      "data: {folder: sets/one/, sources: [{path: a.jsonl}]}\n"
      "training: {steps: 1}\n"
      "evaluation: {questions: q.jsonl, samples: s.jsonl}\n",
      "/srv/r.yaml");
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->data().folder(), "/srv/sets/one");
  EXPECT_EQ(recipe->data().sources(0).path(), "/srv/sets/one/a.jsonl");
  EXPECT_EQ(recipe->evaluation().questions(), "/srv/sets/one/q.jsonl");
  EXPECT_EQ(recipe->evaluation().samples(), "/srv/sets/one/s.jsonl");
  EXPECT_EQ(config::DataPath(*recipe, "b.jsonl", "/elsewhere"), "/srv/sets/one/b.jsonl");
  EXPECT_EQ(config::DataPath(Recipe(), "b.jsonl", "/elsewhere"), "/elsewhere/b.jsonl");
}

TEST(Paths, HomeAndVariablesAreExpandedInPathsOnly) {
  setenv("HOME", "/h", 1);
  setenv("TANREN_TEST_FOLDER", "/f", 1);
  unsetenv("TANREN_TEST_UNSET");
  EXPECT_EQ(*config::ExpandPath("~/m"), "/h/m");
  EXPECT_EQ(*config::ExpandPath("~"), "/h");
  EXPECT_EQ(*config::ExpandPath("~m"), "~m");
  EXPECT_EQ(*config::ExpandPath("${TANREN_TEST_FOLDER}/m"), "/f/m");
  EXPECT_EQ(*config::ExpandPath("a${TANREN_TEST_UNSET:-/d}/${TANREN_TEST_FOLDER:-x}"), "a/d//f");
  EXPECT_EQ(*config::ExpandPath("${TANREN_TEST_UNSET:-~/d}"), "/h/d");
  EXPECT_EQ(*config::ExpandPath("$${X} $5"), "${X} $5");
  EXPECT_FALSE(config::ExpandPath("${TANREN_TEST_FOLDER").ok());
  const absl::StatusOr<Recipe> recipe =
      Parse(std::string(kComplete) + "data: {folder: x}\nname: ${TANREN_TEST_UNSET}\n",
            {"data={folder: '${TANREN_TEST_FOLDER}', sources: [{path: a}]}"});
  EXPECT_THAT(std::string(recipe.status().message()), HasSubstr("data is given twice"));
  EXPECT_EQ(Parse(std::string(kComplete) + "name: ${TANREN_TEST_UNSET}\n")->name(),
            "${TANREN_TEST_UNSET}");
}

TEST(Paths, AVariableWithoutAValueIsAnErrorWithItsPlace) {
  unsetenv("TANREN_TEST_UNSET");
  EXPECT_EQ(
      ProblemsOf("model: {path: \"${TANREN_TEST_UNSET}/m\"}\n"
                 "data: {sources: [{path: a}]}\ntraining: {steps: 1}\n"),
      "r.yaml:1:9: model.path: the environment has no value for ${TANREN_TEST_UNSET}; set it, "
      "or write ${TANREN_TEST_UNSET:-default}");
}

}  // namespace
}  // namespace tanren
