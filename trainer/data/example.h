// One row of a data set, before any model's template or tokenizer has seen it.
#ifndef TANREN_TRAINER_DATA_EXAMPLE_H_
#define TANREN_TRAINER_DATA_EXAMPLE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace tanren::trainer {

// A conversation, as the chat template takes it: an array of objects with `role` (a string) and
// usually `content`; `tools` is an array or null. The first `prompt_messages` are no targets,
// whoever wrote them.
struct Conversation {
  nlohmann::ordered_json messages;
  nlohmann::ordered_json tools;
  size_t prompt_messages = 0;
};

// Text to continue and its continuation; no chat template is applied.
struct PromptCompletion {
  std::string prompt;
  std::string completion;
};

struct PlainText {
  std::string text;
};

using Example = std::variant<Conversation, PromptCompletion, PlainText>;

// How a row is written.
//   kMessages:         {"messages": [{"role", "content"}, …], "tools": […]?}
//   kPromptCompletion: {"prompt": "…", "completion": "…"}, or both as arrays of messages, which
//                      are joined to a conversation that is trained on behind the prompt
//   kText:             {"text": "…"}
//   kInstruction:      {"instruction": "…", "input": "…"?, "output": "…"}: a conversation of one
//                      question (instruction, blank line, input) and one answer
//   kAuto:             whichever of these has all its keys in the row, in this order
enum class RowFormat { kAuto, kMessages, kPromptCompletion, kText, kInstruction };

// Reads one line of a JSONL file. kInvalidArgument says what was found and what was expected; the
// caller adds the file and the line. Keys that the format doesn't name are left alone.
absl::StatusOr<Example> ParseExample(std::string_view line, RowFormat format);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_EXAMPLE_H_
