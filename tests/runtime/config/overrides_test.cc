#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/config/reading.h"

namespace tanren {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Overrides, ReplaceWhatTheFileSaysAndTheLastOneWins) {
  const absl::StatusOr<Recipe> recipe =
      Parse(std::string(kComplete) + "optimizer: {learning_rate: wrong}\n",
            {"optimizer.learning_rate=1e-4", "training.steps=20", "training.steps=30",
             "parallel.zero_stage=2", "generation.stop=[a, b]"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->optimizer().learning_rate(), 1e-4);
  EXPECT_EQ(recipe->training().steps(), 30);
  EXPECT_EQ(recipe->parallel().zero_stage(), 2);
  EXPECT_THAT(recipe->generation().stop(), ::testing::ElementsAre("a", "b"));
}

TEST(Overrides, ReachElementsOfListsAndAppendOne) {
  const absl::StatusOr<Recipe> recipe =
      Parse(kComplete, {"data.sources.0.weight=2", "data.sources[1].path=/b",
                        "data.sources.1.weight=1", "generation.stop.0=x"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->data().sources(0).weight(), 2);
  EXPECT_EQ(recipe->data().sources(1).path(), "/b");
  EXPECT_THAT(recipe->generation().stop(), ::testing::ElementsAre("x"));
  EXPECT_EQ(ProblemsOf(kComplete, {"data.sources.2.path=b"}),
            "--set data.sources.2.path=b: data.sources has 1 elements: found \"2\", expected an "
            "index up to 1");
  EXPECT_THAT(ProblemsOf(kComplete, {"data.sources.path=b"}), HasSubstr("expected an index"));
}

TEST(Overrides, GiveWholeListsAndSectionsAsYaml) {
  const absl::StatusOr<Recipe> recipe =
      Parse(kComplete, {"data.sources=[{path: /x, weight: 1}, {path: /y, weight: 3}]"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->data().sources_size(), 2);
  EXPECT_EQ(recipe->data().sources(1).weight(), 3);
}

TEST(Overrides, TextIsTakenAsItIsUnlessQuoted) {
  const auto answer_after = [](const std::string& value) {
    return Parse(kComplete, {"evaluation.questions=/q", "evaluation.answer_after=" + value})
        ->evaluation()
        .answer_after();
  };
  EXPECT_EQ(answer_after("#### "), "#### ");
  EXPECT_EQ(answer_after("a: [b"), "a: [b");
  EXPECT_EQ(answer_after("\"a\\nb\""), "a\nb");
  EXPECT_EQ(answer_after("k=v"), "k=v");
  EXPECT_EQ(answer_after(""), "");
}

TEST(Overrides, PathsAreRelativeToTheWorkingDirectory) {
  const std::string here = std::filesystem::current_path().string();
  const absl::StatusOr<Recipe> recipe =
      ParseRecipe(kComplete, "/recipes/r.yaml",
                  std::vector<std::string>{"model.tokenizer=t/", "data.sources.1.path=b.jsonl"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->model().path(), "/recipes/m");
  EXPECT_EQ(recipe->model().tokenizer(), here + "/t");
  EXPECT_EQ(recipe->data().sources(0).path(), "/recipes/a.jsonl");
  EXPECT_EQ(recipe->data().sources(1).path(), here + "/b.jsonl");
}

TEST(Overrides, ErrorsNameTheOption) {
  EXPECT_EQ(
      ProblemsOf(kComplete, {"training.steps=many"}),
      "--set training.steps=many: training.steps: found \"many\", expected an integer of 0 or "
      "more");
  EXPECT_EQ(
      ProblemsOf(kComplete, {"optimizer.lerning_rate=1"}),
      "--set optimizer.lerning_rate=1: unknown key \"lerning_rate\" in optimizer; did you mean "
      "\"learning_rate\"?");
  EXPECT_EQ(ProblemsOf(kComplete, {"training.steps"}),
            "--set training.steps: expected KEY=VALUE, as in training.steps=100");
  EXPECT_THAT(ProblemsOf(kComplete, {"training.steps.x=1"}),
              HasSubstr("training.steps is an integer of 0 or more, which has no key \"x\""));
  EXPECT_THAT(ProblemsOf(kComplete, {"data.sources=[{path: a"}),
              StartsWith("--set data.sources=[{path: a: not valid YAML"));
  EXPECT_THAT(ProblemsOf(kComplete, {"=1"}), HasSubstr("expected KEY=VALUE"));
  EXPECT_THAT(ProblemsOf(kComplete, {"..=1"}), HasSubstr("unknown key \"\""));
  EXPECT_THAT(ProblemsOf(std::string(kComplete) + "parallel: 3\n", {"parallel.zero_stage=1"}),
              HasSubstr("parallel is \"3\" at r.yaml:4:11, expected a section"));
}

}  // namespace
}  // namespace tanren
