// What a Tokenizer holds. Not for users of tokenizer.h.
#ifndef TANREN_RUNTIME_TEXT_TOKENIZER_IMPL_H_
#define TANREN_RUNTIME_TEXT_TOKENIZER_IMPL_H_

#include "runtime/text/tokenizer_parts.h"

namespace tanren::text {

struct Tokenizer::Impl {
  explicit Impl(TokenizerParts given);

  TokenizerParts parts;
  BpeModel bpe;
  std::vector<AddedToken> added;       // with their contents as the finders look for them
  AddedTokenFinder raw_finder;         // in the text as it is
  AddedTokenFinder normalized_finder;  // in the normalised text
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_TOKENIZER_IMPL_H_
