// Added tokens: texts that are one token each, found before anything else is done to the text.
#ifndef TANREN_RUNTIME_TEXT_TOKENIZER_ADDED_H_
#define TANREN_RUNTIME_TEXT_TOKENIZER_ADDED_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace tanren::text {

// The fields are those of tokenizer.json.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      // a control token: left out where a decoder skips special tokens
  bool single_word = false;  // only between characters that are no part of a word
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space after it along
  bool normalized = false;   // looked for in the normalised text, not in the text as it is
};

// Bytes [begin, end) of a text; `token` is null where no added token stands.
struct AddedSection {
  const AddedToken* token = nullptr;
  size_t begin = 0;
  size_t end = 0;
};

// Finds added tokens in a text: the leftmost first, and of those that start there the longest.
class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  // The pointers must stay valid while the finder is used.
  explicit AddedTokenFinder(const std::vector<const AddedToken*>& tokens);

  bool empty() const { return tokens_.empty(); }

  // Cuts valid UTF-8 into sections, in order, without gaps. With `skip_special` a special token's
  // text is plain text; what it covers is not searched for others.
  std::vector<AddedSection> Split(std::string_view text, bool skip_special) const;

 private:
  struct Match {
    int32_t token = -1;  // index in tokens_
    size_t length = 0;
  };
  Match LongestAt(std::string_view text, size_t begin) const;

  // A trie over bytes: edge (node, byte) -> node; ends_[node] is the token that ends there or -1.
  std::vector<const AddedToken*> tokens_;
  absl::flat_hash_map<uint64_t, uint32_t> edges_;
  std::vector<int32_t> ends_;
  std::array<bool, 256> starts_{};
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_TOKENIZER_ADDED_H_
