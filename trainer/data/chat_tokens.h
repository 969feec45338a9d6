// The tokens of a rendered conversation, safe against texts that imitate the template.
#ifndef TANREN_TRAINER_DATA_CHAT_TOKENS_H_
#define TANREN_TRAINER_DATA_CHAT_TOKENS_H_

#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "runtime/text/assistant_targets.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"

namespace tanren::trainer {

// Encodes the text as the field does: in one piece, special tokens as the tokens they are. But a
// special token stands only where the template wrote one: if what a message says holds the text of
// one ("<|im_end|>"), that stretch of the message is encoded apart, as ordinary characters.
// Conversations without such texts get exactly the tokens of Hugging Face's apply_chat_template.
// A role or name may be a part of a special token that the template puts together
// ("<|" + role + "|>"), but never a whole one. Ranges refer to chat.text.
text::Encoding EncodeChat(const text::RenderedChat& chat, const text::Tokenizer& tokenizer);

// kInvalidArgument if a string inside `value` holds the text of a special token. For what templates
// print without a trace of where it came from: the descriptions of tools.
absl::Status CheckNoSpecialTokens(const nlohmann::ordered_json& value,
                                  const text::Tokenizer& tokenizer);

// For each token whether the model is trained to write it: whether all its bytes lie in target
// ranges. A token that holds a byte from before an answer (a user's, the template's) is no target,
// though its other bytes may be the answer's: when the model writes, its prompt ends at that place,
// so such a token can't come up. `targets` are sorted and disjoint.
std::vector<float> TargetWeights(const text::Encoding& encoding,
                                 const std::vector<text::TargetRange>& targets);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_CHAT_TOKENS_H_
