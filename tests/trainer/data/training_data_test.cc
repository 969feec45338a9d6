#include "trainer/data/training_data.h"

#include <algorithm>
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/data/data_files.h"

namespace tanren::trainer {
namespace {

using testing::HasSubstr;

Recipe RecipeOf(const DataFiles& files) {
  Recipe recipe;
  *recipe.mutable_data()->mutable_sources() = files.sources;
  recipe.mutable_data()->set_sequence_length(32);
  recipe.mutable_training()->set_epochs(1);
  recipe.mutable_training()->set_batch_rows(4);
  return recipe;
}

absl::StatusOr<std::unique_ptr<TrainingData>> Open(const DataFiles& files, const Recipe& recipe,
                                                   int world_size = 1, int rank = 0) {
  return OpenTrainingData(recipe, *files.tokenizer, nullptr, world_size, rank);
}

void Collect(const StepBatches& step, const text::Tokenizer& tokenizer,
             std::vector<std::string>* texts) {
  for (const Batch& batch : step.micro_batches) {
    if (TargetWeight(batch) == 0) continue;
    for (std::string& text : TextsOf(batch, tokenizer)) texts->push_back(std::move(text));
  }
}

// Held-out documents as all ranks together see them.
std::vector<std::string> Validation(const DataFiles& files, const Recipe& recipe, int world_size,
                                    double* target_weight) {
  std::vector<std::string> texts;
  for (int rank = 0; rank < world_size; ++rank) {
    const auto data = ValueOrThrow(Open(files, recipe, world_size, rank));
    const ValidationSet& validation = *data->validation;
    for (size_t s = 0; s < validation.step_count(); ++s) {
      EXPECT_EQ(validation.step(s).micro_batches.size(), 1u);
      Collect(validation.step(s), *files.tokenizer, &texts);
    }
    *target_weight = validation.target_weight();
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

TEST(TrainingData, TrainsOnEveryRowButTheHeldOutOnes) {
  const DataFiles files({TextRows("a", 60, 20), TextRows("b", 40, 20)});
  Recipe recipe = RecipeOf(files);
  recipe.mutable_data()->set_validation_fraction(0.25);
  double target_weight = 0;
  std::vector<std::string> all = Validation(files, recipe, 1, &target_weight);
  const size_t held_out = all.size();
  EXPECT_GT(held_out, 10u);
  EXPECT_LT(held_out, 45u);
  const auto data = ValueOrThrow(Open(files, recipe));
  int64_t steps = 0;
  while (const auto step = ValueOrThrow(data->source->Next())) {
    Collect(*step, *files.tokenizer, &all);
    ++steps;
  }
  EXPECT_EQ(steps, data->steps);
  EXPECT_EQ(all.size(), 100u);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end())
      << "each text is in one place only";
}

TEST(TrainingData, ValidationIsTheSameOnAnyNumberOfRanks) {
  const DataFiles files({TextRows("a", 60, 20)});
  Recipe recipe = RecipeOf(files);
  recipe.mutable_data()->set_validation_fraction(0.4);
  recipe.mutable_evaluation()->set_max_documents(13);
  double expected_weight = 0;
  const auto expected = Validation(files, recipe, 1, &expected_weight);
  EXPECT_EQ(expected.size(), 13u);
  for (const int world_size : {2, 4}) {
    for (const int64_t micro_batch_rows : {1, 3}) {
      recipe.mutable_training()->set_micro_batch_rows(micro_batch_rows);
      double weight = 0;
      EXPECT_EQ(Validation(files, recipe, world_size, &weight), expected);
      EXPECT_EQ(weight, expected_weight);
    }
  }
}

TEST(TrainingData, FilesForValidationAreUsedWhole) {
  const DataFiles files({TextRows("a", 20, 9)}), held_out({TextRows("v", 7, 9)});
  Recipe recipe = RecipeOf(files);
  *recipe.mutable_data()->mutable_validation() = held_out.sources;
  const auto data = ValueOrThrow(Open(files, recipe));
  EXPECT_EQ(data->validation->documents(), 7);
  recipe.mutable_evaluation()->set_max_documents(3);
  EXPECT_EQ(ValueOrThrow(Open(files, recipe))->validation->documents(), 3);
}

TEST(TrainingData, WithStepsTheSourceNeverEnds) {
  const DataFiles files({TextRows("a", 5, 9)});
  Recipe recipe = RecipeOf(files);
  recipe.mutable_training()->clear_epochs();
  recipe.mutable_training()->set_steps(7);
  const auto data = ValueOrThrow(Open(files, recipe));
  EXPECT_EQ(data->steps, 7);
  EXPECT_EQ(data->validation, nullptr);
  for (int step = 0; step < 20; ++step) {
    ASSERT_TRUE(ValueOrThrow(data->source->Next()).has_value());
  }
}

TEST(TrainingData, WhatARecipeCannotMeanIsAnErrorThatNamesTheKey) {
  const DataFiles files({TextRows("a", 5, 9)});
  const auto error_of = [&](const std::function<void(Recipe*)>& change, int world_size = 1) {
    Recipe recipe = RecipeOf(files);
    change(&recipe);
    return std::string(Open(files, recipe, world_size).status().message());
  };
  EXPECT_THAT(error_of([](Recipe* r) { r->mutable_data()->clear_sources(); }),
              HasSubstr("data.sources names no file"));
  EXPECT_THAT(error_of([](Recipe* r) { r->mutable_training()->clear_epochs(); }),
              HasSubstr("training.steps and training.epochs are both 0"));
  EXPECT_THAT(error_of([](Recipe* r) { r->mutable_training()->set_steps(3); }),
              HasSubstr("training.steps and training.epochs are both given"));
  EXPECT_THAT(error_of([](Recipe* r) {
                *r->mutable_data()->mutable_validation() = r->data().sources();
                r->mutable_data()->set_validation_fraction(0.1);
              }),
              HasSubstr("data.validation and data.validation_fraction"));
  EXPECT_THAT(error_of([](Recipe* r) { r->mutable_data()->set_chat_template_variables("[1]"); }),
              HasSubstr("data.chat_template_variables is [1], expected a JSON object"));
  EXPECT_THAT(error_of([](Recipe* r) { r->mutable_data()->set_validation_fraction(1e-9); }),
              HasSubstr("no row is held out"));
  EXPECT_THAT(error_of([](Recipe* r) { r->mutable_data()->mutable_sources(0)->set_path("/no"); }),
              HasSubstr("/no"));
  EXPECT_THAT(error_of([](Recipe*) {}, 3), HasSubstr("training.batch_rows is 4"));
}

}  // namespace
}  // namespace tanren::trainer
