#include "runtime/config/recipe_file.h"

#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/config/reading.h"

namespace tanren {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string With(const std::string& more) { return kComplete + more; }

TEST(RecipeFile, WhatIsNotGivenHasTheSchemasDefault) {
  const absl::StatusOr<Recipe> recipe = Parse(With("optimizer: {kind: sgd}\n"));
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->optimizer().kind(), OptimizerRecipe::SGD);
  EXPECT_TRUE(recipe->parallel().has_zero_stage());
  EXPECT_EQ(recipe->parallel().zero_stage(), 3);
  EXPECT_EQ(recipe->data().sources(0).format(), SourceRecipe::AUTO);
}

TEST(RecipeFile, NumbersAreReadAsPeopleWriteThem) {
  const auto rate = [](const std::string& text) {
    return Parse(With("optimizer: {learning_rate: " + text + "}\n"));
  };
  EXPECT_EQ(rate("1e-4")->optimizer().learning_rate(), 1e-4);
  EXPECT_EQ(rate("2.5E-05")->optimizer().learning_rate(), 2.5e-5);
  EXPECT_EQ(rate("+.5")->optimizer().learning_rate(), 0.5);
  EXPECT_EQ(rate("1_000.5")->optimizer().learning_rate(), 1000.5);
  const auto seed = [](const std::string& text) {
    return Parse("model: {path: m}\ndata: {sources: [{path: a}]}\ntraining: {steps: 1_000, seed: " +
                 text + "}\n");
  };
  EXPECT_EQ(seed("3")->training().steps(), 1000);
  EXPECT_EQ(seed("1e3")->training().seed(), 1000);
  EXPECT_EQ(seed("18446744073709551615")->training().seed(), UINT64_MAX);
  for (const char* wrong : {"18446744073709551616", "-1", "0x10", "010", "1__0", "_1", "1_", "1.5",
                            "1e400", "nan", ".inf", "\"3\"", "true", "1,000", "1e20", "''"}) {
    EXPECT_THAT(ProblemsOf("model: {path: m}\ndata: {sources: [{path: a}]}\n"
                           "training:\n  steps: 1\n  seed: " +
                           std::string(wrong) + "\n"),
                StartsWith("r.yaml:5:9: training.seed: found "))
        << wrong;
  }
}

TEST(RecipeFile, TextIsTakenAsWrittenAndBooleansAreTrueOrFalse) {
  const absl::StatusOr<Recipe> recipe = Parse(
      With("name: 007\ngeneration: {stop: [no, 1.50, \"\"]}\ncheckpoint: {export_model: false}\n"));
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->name(), "007");
  EXPECT_THAT(recipe->generation().stop(), ::testing::ElementsAre("no", "1.50", ""));
  EXPECT_FALSE(recipe->checkpoint().export_model());
  for (const char* wrong : {"yes", "True", "1", "'true'", "[]"}) {
    EXPECT_THAT(ProblemsOf(With("checkpoint: {export_model: " + std::string(wrong) + "}\n")),
                HasSubstr("expected true or false"))
        << wrong;
  }
}

TEST(RecipeFile, AMisspeltKeyNamesTheNearestOfItsSection) {
  EXPECT_EQ(
      ProblemsOf(With("optimizer:\n  learnig_rate: 1\n")),
      "r.yaml:5:3: unknown key \"learnig_rate\" in optimizer; did you mean \"learning_rate\"?");
  EXPECT_EQ(ProblemsOf(With("optimiser: {}\n")),
            "r.yaml:4:1: unknown key \"optimiser\"; did you mean \"optimizer\"?");
  EXPECT_THAT(ProblemsOf(With("optimizer: {weight-decay: 1}\n")),
              HasSubstr("did you mean \"weight_decay\"?"));
  EXPECT_THAT(ProblemsOf(With("optimizer: {weightDecay: 1}\n")),
              HasSubstr("did you mean \"weight_decay\"?"));
}

TEST(RecipeFile, AKeyOfAnotherSectionIsToldWhereItBelongs) {
  EXPECT_EQ(ProblemsOf(With("learning_rate: 1\n")),
            "r.yaml:4:1: unknown key \"learning_rate\"; it belongs to optimizer.learning_rate");
  EXPECT_EQ(ProblemsOf(With("optimizer: {seed: 1}\n")),
            "r.yaml:4:13: unknown key \"seed\" in optimizer; it belongs to training.seed or "
            "generation.seed");
}

TEST(RecipeFile, AKeyLikeNoOtherGetsTheListOfKeys) {
  EXPECT_EQ(ProblemsOf(With("evaluation: {zzz: 1}\n")),
            "r.yaml:4:14: unknown key \"zzz\" in evaluation; expected one of: every_steps, "
            "max_documents, questions, max_questions, answer_after, samples, choices, max_choices");
}

TEST(RecipeFile, EveryProblemIsReportedOnceWithItsPlace) {
  EXPECT_EQ(
      ProblemsOf("model: {path: m}\n"
                 "data:\n"
                 "  sources: a.jsonl\n"
                 "  sequence_length: 1\n"
                 "training:\n"
                 "  step: 5\n"
                 "  precision: BF16\n"
                 "optimizer:\n"
                 "  beta1: 1\n"
                 "  beta1: 0.5\n"
                 "  kind:\n"
                 "checkpoint: 5\n"),
      "r.yaml:3:12: data.sources: found \"a.jsonl\", expected a list of sections\n"
      "r.yaml:4:20: data.sequence_length: found \"1\", expected an integer from 2 to 1048576\n"
      "r.yaml:6:3: unknown key \"step\" in training; did you mean \"steps\"?\n"
      "r.yaml:7:14: training.precision: found \"BF16\", expected one of: auto, fp32, bf16, "
      "fp16\n"
      "r.yaml:9:10: optimizer.beta1: found \"1\", expected a number of 0 or more and below 1\n"
      "r.yaml:10:3: optimizer.beta1 is given twice, first at r.yaml:9:3\n"
      "r.yaml:11:3: optimizer.kind: found nothing, expected one of: adamw, sgd; leave the key "
      "out for the default (adamw)\n"
      "r.yaml:12:13: checkpoint: found \"5\", expected a section with keys of: every_steps, "
      "keep_last, keep_best, export_model, export_type, in_background, when_busy, when_failing");
}

TEST(RecipeFile, WhatIsRequiredAndMissingIsNamed) {
  EXPECT_EQ(ProblemsOf("model: {path: m}\ndata: {sources: [{weight: 1}]}\ntraining: {steps: 1}\n"),
            "r.yaml:2:18: data.sources[0].path is missing, expected a path");
  EXPECT_THAT(ProblemsOf("model: {path: m}\ndata: {sources: [{path: ''}]}\ntraining: {steps: 1}\n"),
              HasSubstr("data.sources[0].path: found the quoted text \"\", expected a path"));
  const std::string nothing = ProblemsOf("");
  EXPECT_THAT(nothing, HasSubstr("r.yaml:1:1: model.path is missing"));
  EXPECT_THAT(nothing, HasSubstr("data.sources is missing"));
  EXPECT_THAT(nothing, HasSubstr("neither training.steps nor training.epochs"));
  EXPECT_EQ(std::count(nothing.begin(), nothing.end(), '\n'), 2);
}

TEST(RecipeFile, BrokenYamlIsAnErrorWithItsPlace) {
  EXPECT_THAT(ProblemsOf("model: [1, 2\n"), StartsWith("r.yaml:"));
  EXPECT_THAT(ProblemsOf("a: 1\n b: 2\n"), StartsWith("r.yaml:2:"));
  EXPECT_THAT(ProblemsOf(With("name: &x a\n")), HasSubstr("anchors"));
  EXPECT_THAT(ProblemsOf(With("name: !!str a\n")), HasSubstr("tags are not supported"));
  EXPECT_THAT(ProblemsOf(With("---\nname: b\n")), HasSubstr("a second YAML document"));
  EXPECT_THAT(ProblemsOf(std::string("na\0me: 1", 8)), HasSubstr("NUL bytes"));
  EXPECT_THAT(ProblemsOf("[a]"), HasSubstr("found a list, expected a section"));
  EXPECT_THAT(ProblemsOf(With("? [a]\n: 1\n")), HasSubstr("found a list as a key"));
  EXPECT_THAT(ProblemsOf(std::string(5000, '[')), HasSubstr("levels deep"));
  EXPECT_THAT(ProblemsOf(With(std::string(1000, 'k') + ": 1\n")), HasSubstr("unknown key"));
}

TEST(RecipeFile, ATextDamagedAtAnyByteIsARecipeOrAnErrorWithAPlace) {
  const std::string text = With(
      "optimizer:\n  learning_rate: 1e-4  # a rate\ngeneration:\n  stop: ['a', \"b\\n\"]\n"
      "evaluation: {samples: \"${X:-s}\"}\n");
  ASSERT_EQ(ProblemsOf(text), "");
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char* damage : {"", "\xff", "\t", "\n", "{", "\"", ":", "&", "*", "|", "%", "$"}) {
      const std::string damaged = text.substr(0, i) + damage + text.substr(i + 1);
      const absl::StatusOr<Recipe> recipe = Parse(damaged);
      if (!recipe.ok()) {
        EXPECT_THAT(std::string(recipe.status().message()), StartsWith("r.yaml:")) << damaged;
      }
    }
  }
}

TEST(RecipeFile, AMissingFileIsNamed) {
  EXPECT_THAT(std::string(LoadRecipe("no/such.yaml").status().message()),
              HasSubstr("no/such.yaml"));
}

}  // namespace
}  // namespace tanren
