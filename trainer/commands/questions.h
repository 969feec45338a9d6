// Questions with an exact answer, and questions that are only shown.
#ifndef TANREN_TRAINER_COMMANDS_QUESTIONS_H_
#define TANREN_TRAINER_COMMANDS_QUESTIONS_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "trainer/commands/model_arguments.h"
#include "trainer/rollout/generator.h"

namespace tanren::trainer {

// A line of a questions file: what is asked, and the answer if there is a right one.
struct Question {
  nlohmann::ordered_json request;  // with "messages" or "prompt"
  std::string answer;
};

// Reads JSONL: {"messages" or "prompt", "answer"}; at most `limit` lines (0: all). Errors name
// file:line. `needs_answer`: a line without one is an error.
absl::StatusOr<std::vector<Question>> ReadQuestions(const std::filesystem::path& path,
                                                    int64_t limit, bool needs_answer);

// What of a generated text counts: what follows the last `marker`, or all of it where that is
// missing or empty; without white space around it.
std::string AnswerIn(std::string_view text, std::string_view marker);

// The last user message, or the prompt: for people.
std::string QuestionText(const nlohmann::ordered_json& request);

// Generates an answer to each question; progress goes to standard error.
absl::StatusOr<std::vector<Generation>> Ask(const std::vector<Question>& questions,
                                            const LoadedModel& model,
                                            const GenerationRequest& defaults, int batch_size);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_COMMANDS_QUESTIONS_H_
