// Small byte-level tokenizers for tests, with ids that can be told by hand.
#ifndef TANREN_TESTS_RUNTIME_TEXT_SMALL_TOKENIZER_H_
#define TANREN_TESTS_RUNTIME_TEXT_SMALL_TOKENIZER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "runtime/text/tokenizer.h"

namespace tanren::text {

inline constexpr int32_t kFirstMerge = 256;
inline constexpr int32_t kFirstAdded = 1000;

// A tokenizer.json: byte b has the id b, the i-th merge's result kFirstMerge + i, the i-th added
// token kFirstAdded + i. Pieces of merges are written in the byte alphabet. `added` are the entries
// of "added_tokens", without their ids. The whole text is one word, unless `pre_tokenizer` is set.
struct SmallTokenizer {
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<nlohmann::json> added;
  nlohmann::json normalizer;
  nlohmann::json pre_tokenizer = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  nlohmann::json post_processor;
  bool ignore_merges = false;

  nlohmann::json Json() const;
  // Throws Error if it cannot be loaded.
  std::unique_ptr<Tokenizer> Load() const;
};

// {"content": …, "special": …}
nlohmann::json Added(const std::string& content, bool special);

}  // namespace tanren::text

#endif  // TANREN_TESTS_RUNTIME_TEXT_SMALL_TOKENIZER_H_
