// A tokenizer_config.json, for a tokenizer of three tokens.
#include <memory>
#include <string>

#include "runtime/base/error.h"
#include "runtime/formats/model_files_text.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  static const std::unique_ptr<text::Tokenizer> tokenizer =
      ValueOrThrow(text::Tokenizer::FromVocabulary(
          {.pre_tokenizer = "gpt-2", .tokens = {"a", "<s>", "</s>"}, .token_types = {1, 3, 3}}));
  const std::string input(fuzz::Text(data, size));
  (void)text::ApplyTokenizerConfig(input, "tokenizer_config.json", tokenizer.get());
  (void)formats::ChatTemplateOf(input, "tokenizer_config.json");
  return 0;
}
