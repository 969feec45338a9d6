#include "trainer/evaluation_questions.h"

#include <iterator>
#include <string>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "trainer/recipe_parts.h"

namespace tanren::trainer {
namespace {

absl::Status CheckNotEmpty(bool empty, const std::string& path) {
  if (!empty) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}: there are no questions", path));
}

}  // namespace

absl::StatusOr<ExactQuestions> OpenExactQuestions(const Recipe& recipe, const ModelText& text) {
  ExactQuestions exact;
  const std::string& path = recipe.evaluation().questions();
  if (path.empty()) return exact;
  TANREN_ASSIGN_OR_RETURN(exact.questions, ReadQuestions(path, recipe.evaluation().max_questions(),
                                                         /*needs_answer=*/true));
  TANREN_RETURN_IF_ERROR(CheckNotEmpty(exact.questions.empty(), path));
  absl::StatusOr<std::vector<GenerationRequest>> requests = RequestsFor(
      exact.questions, RequestOf(recipe.generation()), text.chat_template.get(), *text.tokenizer);
  if (!requests.ok()) return Annotate(requests.status(), path);
  exact.requests = *std::move(requests);
  return exact;
}

absl::StatusOr<ChoiceSet> OpenChoices(const Recipe& recipe, const ModelText& text,
                                      int64_t max_positions) {
  ChoiceSet set;
  const std::string& path = recipe.evaluation().choices();
  if (path.empty()) return set;
  TANREN_ASSIGN_OR_RETURN(set.questions,
                          ReadChoiceQuestions(path, recipe.evaluation().max_choices()));
  TANREN_RETURN_IF_ERROR(CheckNotEmpty(set.questions.empty(), path));
  for (const ChoiceQuestion& question : set.questions) {
    TANREN_ASSIGN_OR_RETURN(
        std::vector<Document> of_question,
        ChoiceDocuments(question, text.chat_template.get(), *text.tokenizer, max_positions));
    std::move(of_question.begin(), of_question.end(), std::back_inserter(set.documents));
  }
  return set;
}

}  // namespace tanren::trainer
