// A small tokenizer and ChatML template, whose tokens can be told by hand.
#ifndef TANREN_TESTS_TRAINER_DATA_CHAT_H_
#define TANREN_TESTS_TRAINER_DATA_CHAT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"
#include "trainer/data/batch.h"

namespace tanren::trainer {

inline constexpr int32_t kImStart = 1000;
inline constexpr int32_t kImEnd = 1001;
inline constexpr int32_t kEndOfText = 1002;
inline constexpr int32_t kUserTag = 1003;  // "<|user|>"
inline constexpr int32_t kBegin = 1004;    // "<s>"

inline constexpr char kChatMl[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}";

// A byte is a token, besides the special ones above and the pairs in `merges`. The end-of-text
// token is kEndOfText. `prefix`: texts begin with kBegin.
std::unique_ptr<text::Tokenizer> MakeTokenizer(
    std::vector<std::pair<std::string, std::string>> merges = {}, bool prefix = false);

text::ChatTemplate MakeTemplate(const std::string& source = kChatMl);

// What the tokens stand for; special ones as they are written.
std::string Written(const text::Tokenizer& tokenizer, const std::vector<int32_t>& tokens);
// The same, of the tokens with a weight.
std::string Trained(const text::Tokenizer& tokenizer, const Document& document);
// The same for each document of a batch, in order.
std::vector<std::string> TextsOf(const Batch& batch, const text::Tokenizer& tokenizer);

}  // namespace tanren::trainer

#endif  // TANREN_TESTS_TRAINER_DATA_CHAT_H_
