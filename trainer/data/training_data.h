// Everything that a recipe says about data, opened.
#ifndef TANREN_TRAINER_DATA_TRAINING_DATA_H_
#define TANREN_TRAINER_DATA_TRAINING_DATA_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"
#include "trainer/data/batch_source.h"
#include "trainer/data/corpus.h"
#include "trainer/data/step.h"
#include "trainer/data/validation_set.h"

namespace tanren::trainer {

struct TrainingData {
  std::unique_ptr<Corpus> corpus;
  std::unique_ptr<Corpus> validation_corpus;  // null unless data.validation names files
  std::unique_ptr<ValidationSet> validation;  // null where the recipe holds nothing out
  // Of training. Ends after training.epochs; with training.steps it never ends.
  std::unique_ptr<BatchSource> source;
  // Optimizer steps of the run: training.steps, or counted from training.epochs.
  int64_t steps = 0;
};

// What of the recipe each part is made from.
absl::StatusOr<DocumentRenderer> MakeRenderer(const DataRecipe& data,
                                              const text::Tokenizer& tokenizer,
                                              const text::ChatTemplate* chat_template);
CorpusOptions CorpusOptionsOf(const Recipe& recipe);
StreamOptions StreamOptionsOf(const Recipe& recipe);
StepShape StepShapeOf(const Recipe& recipe, int world_size, int rank);

// Opens the sources, sets the validation set aside and, where the recipe gives epochs, goes through
// all documents once to count the steps. Every rank finds the same without talking. Paths are as
// the configuration has resolved them. `chat_template` may be null; it and the tokenizer have to
// outlive the data. Errors: kInvalidArgument for what the recipe or a row is wrong with, naming the
// key or file:line; those of files.
absl::StatusOr<std::unique_ptr<TrainingData>> OpenTrainingData(
    const Recipe& recipe, const text::Tokenizer& tokenizer, const text::ChatTemplate* chat_template,
    int world_size, int rank);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_TRAINING_DATA_H_
