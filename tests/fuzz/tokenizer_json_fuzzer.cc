// A tokenizer.json; one that is taken is written and read again.
#include <string>

#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  const auto tokenizer = text::Tokenizer::FromJson(fuzz::Text(data, size), "tokenizer.json");
  if (!tokenizer.ok()) return 0;
  fuzz::UseTokenizer(**tokenizer);
  const auto again = text::Tokenizer::FromJson((*tokenizer)->ToJson(), "written");
  fuzz::Demand(again.ok(), "a tokenizer that was written can be read");
  fuzz::UseTokenizer(**again);
  return 0;
}
