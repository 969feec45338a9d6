// The vocabulary of a GGUF, written as lines: "p" and the pre-tokenizer's name, "t", the digit of a
// token's type and the token, "m" and a merge, "b" or "e" and the id of the first or last token.
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  text::TokenizerVocabulary vocabulary{.where = "input"};
  const std::string_view input = fuzz::Text(data, size);
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(input.data(), input.size()), '\n')) {
    if (line.empty()) continue;
    const std::string rest(line.substr(1));
    int32_t id = 0;
    switch (line[0]) {
      case 'p':
        vocabulary.pre_tokenizer = rest;
        break;
      case 't':
        if (rest.empty()) break;
        vocabulary.token_types.push_back(rest[0] - '0');
        vocabulary.tokens.push_back(rest.substr(1));
        break;
      case 'm':
        vocabulary.merges.push_back(rest);
        break;
      case 'b':
        if (absl::SimpleAtoi(rest, &id)) vocabulary.special.bos = id;
        vocabulary.add_bos = true;
        break;
      case 'e':
        if (absl::SimpleAtoi(rest, &id)) vocabulary.special.eos = id;
        vocabulary.add_eos = true;
        break;
    }
  }
  const auto tokenizer = text::Tokenizer::FromVocabulary(vocabulary);
  if (!tokenizer.ok()) return 0;
  fuzz::UseTokenizer(**tokenizer);
  (void)(*tokenizer)->ToVocabulary((*tokenizer)->vocabulary_size());
  return 0;
}
