// Questions with an exact answer, and questions that are only shown.
#ifndef TANREN_TRAINER_ROLLOUT_QUESTIONS_H_
#define TANREN_TRAINER_ROLLOUT_QUESTIONS_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"
#include "trainer/rollout/generator.h"

namespace tanren::trainer {

// A line of a questions file: what is asked, and the answer if there is a right one.
struct Question {
  nlohmann::ordered_json request;  // with "messages" or "prompt"
  std::string answer;
};

// Hands each line of a JSONL file to `take`, with "file:line": an object with "messages" or
// "prompt". At most `limit` lines (0: all), blank ones not counted. Errors, those of `take` too,
// get file:line before them.
absl::Status ReadRequests(
    const std::filesystem::path& path, int64_t limit,
    const std::function<absl::Status(nlohmann::ordered_json request, std::string where)>& take);

// Reads JSONL: {"messages" or "prompt", "answer"}; at most `limit` lines (0: all). Errors name
// file:line. `needs_answer`: a line without one is an error.
absl::StatusOr<std::vector<Question>> ReadQuestions(const std::filesystem::path& path,
                                                    int64_t limit, bool needs_answer);

// What of a generated text counts: what follows the last `marker`, or all of it where that is
// missing or empty; without white space around it.
std::string AnswerIn(std::string_view text, std::string_view marker);

// The last message's content (as JSON where it isn't a string), or the prompt: for people.
std::string QuestionText(const nlohmann::ordered_json& request);

// The questions as requests of `defaults`. Errors name the question by its number, from 1.
absl::StatusOr<std::vector<GenerationRequest>> RequestsFor(const std::vector<Question>& questions,
                                                           const GenerationRequest& defaults,
                                                           const text::ChatTemplate* chat_template,
                                                           const text::Tokenizer& tokenizer);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_QUESTIONS_H_
