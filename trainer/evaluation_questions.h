// The questions that a recipe's evaluation names, read and rendered: `evaluate` asks them, and a
// training checks them before it begins, so that they aren't found to be wrong when it is over.
#ifndef TANREN_TRAINER_EVALUATION_QUESTIONS_H_
#define TANREN_TRAINER_EVALUATION_QUESTIONS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"
#include "trainer/data/document.h"
#include "trainer/model/pretrained.h"
#include "trainer/rollout/multiple_choice.h"
#include "trainer/rollout/questions.h"

namespace tanren::trainer {

// Of evaluation.questions; empty where the recipe names none.
struct ExactQuestions {
  std::vector<Question> questions;
  std::vector<GenerationRequest> requests;  // one for each
};

// Of evaluation.choices; empty where the recipe names none.
struct ChoiceSet {
  std::vector<ChoiceQuestion> questions;
  std::vector<Document> documents;  // of each question, one for each choice
};

// Errors name the file and its line; one without a question is an error.
absl::StatusOr<ExactQuestions> OpenExactQuestions(const Recipe& recipe, const ModelText& text);
// `max_positions` of the model; see ChoiceDocuments.
absl::StatusOr<ChoiceSet> OpenChoices(const Recipe& recipe, const ModelText& text,
                                      int64_t max_positions);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_EVALUATION_QUESTIONS_H_
