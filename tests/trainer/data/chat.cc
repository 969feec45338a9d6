#include "tests/trainer/data/chat.h"

#include <ATen/ATen.h>

#include "runtime/base/error.h"
#include "tests/runtime/text/small_tokenizer.h"

namespace tanren::trainer {

std::unique_ptr<text::Tokenizer> MakeTokenizer(
    std::vector<std::pair<std::string, std::string>> merges, bool prefix) {
  using nlohmann::json;
  text::SmallTokenizer small{.merges = std::move(merges)};
  for (const char* token : {"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|user|>", "<s>"}) {
    small.added.push_back(text::Added(token, true));
  }
  if (prefix) {
    const json begin = {{"id", "<s>"}, {"ids", {kBegin}}, {"tokens", {"<s>"}}};
    const json single = {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                         {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}};
    small.post_processor = {{"type", "TemplateProcessing"},
                            {"single", single},
                            {"pair", single},
                            {"special_tokens", {{"<s>", begin}}}};
  }
  auto tokenizer = small.Load();
  ThrowIfError(tokenizer->set_special_ids({.bos = kBegin, .eos = kEndOfText}));
  return tokenizer;
}

text::ChatTemplate MakeTemplate(const std::string& source) {
  return ValueOrThrow(text::ChatTemplate::Parse(source));
}

std::string Written(const text::Tokenizer& tokenizer, const std::vector<int32_t>& tokens) {
  return tokenizer.Decode(tokens, false);
}

std::string Trained(const text::Tokenizer& tokenizer, const Document& document) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < document.tokens.size(); ++i) {
    if (document.weights[i] > 0) tokens.push_back(document.tokens[i]);
  }
  return Written(tokenizer, tokens);
}

std::vector<std::string> TextsOf(const Batch& batch, const text::Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  const auto* tokens = batch.tokens_T.const_data_ptr<int64_t>();
  const auto* offsets = batch.document_offsets_N1.const_data_ptr<int64_t>();
  for (int64_t n = 0; n + 1 < batch.document_offsets_N1.numel(); ++n) {
    texts.push_back(
        Written(tokenizer, std::vector<int32_t>(tokens + offsets[n], tokens + offsets[n + 1])));
  }
  return texts;
}

}  // namespace tanren::trainer
