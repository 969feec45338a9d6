// From what a person asks to the tokens that a model continues.
#ifndef TANREN_TRAINER_ROLLOUT_PROMPT_H_
#define TANREN_TRAINER_ROLLOUT_PROMPT_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"

namespace tanren::trainer {

// A text as it is, behind the tokenizer's prefix (unless it begins with that); special tokens in it
// are tokens.
std::vector<int32_t> PromptOfText(std::string_view prompt, const text::Tokenizer& tokenizer);

// The input that renders a conversation of this tokenizer: with its special tokens, and today's
// date. The caller adds messages and the rest.
text::ChatInput ChatInputFor(const text::Tokenizer& tokenizer);

// A conversation with the beginning of an answer behind it. Texts in messages that imitate special
// tokens are ordinary text. kFailedPrecondition where there is no template (null).
absl::StatusOr<std::vector<int32_t>> PromptOfConversation(const nlohmann::ordered_json& messages,
                                                          const nlohmann::ordered_json& tools,
                                                          const text::ChatTemplate* chat_template,
                                                          const text::Tokenizer& tokenizer);

// Of an object with "messages" (and "tools") or "prompt".
absl::StatusOr<std::vector<int32_t>> PromptOf(const nlohmann::ordered_json& request,
                                              const text::ChatTemplate* chat_template,
                                              const text::Tokenizer& tokenizer);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_PROMPT_H_
