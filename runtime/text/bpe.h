// Byte-pair encoding of one word over bytes (arXiv:1508.07909, on bytes as in GPT-2): start from
// single bytes, and join the neighbouring pair that comes first in the list of merges, the
// leftmost first, until no pair is in the list.
#ifndef TANREN_RUNTIME_TEXT_BPE_H_
#define TANREN_RUNTIME_TEXT_BPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace tanren::text {

// Joins `left` and `right`, in this order, to `result`. All are token ids.
struct BpeMerge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t result = 0;
};

struct BpeOptions {
  bool ignore_merges = false;         // a word that is a token as a whole is that token
  std::optional<int32_t> unknown_id;  // for bytes that no token stands for; none: they are dropped
  bool fuse_unknown = false;          // neighbouring unknown bytes are one token
};

// A token and the bytes [begin, end) of the word it stands for.
struct BpeSymbol {
  int32_t id = 0;
  uint32_t begin = 0;
  uint32_t end = 0;
};

// Immutable after construction, so any number of threads may encode.
class BpeModel {
 public:
  // `byte_ids`: the token of each byte, -1 where there is none. `merges`: the first has the highest
  // rank; of equal pairs the last one counts. `whole_words`: bytes and ids of the tokens that may
  // stand for a whole word; used with ignore_merges only.
  BpeModel(const std::array<int32_t, 256>& byte_ids, const std::vector<BpeMerge>& merges,
           const std::vector<std::pair<std::string_view, int32_t>>& whole_words,
           const BpeOptions& options);

  // Appends the symbols of `word`. Time: quadratic in short words, n log n in long ones.
  void Encode(std::string_view word, std::vector<BpeSymbol>* symbols) const;

  const BpeOptions& options() const { return options_; }

 private:
  struct Target {
    uint32_t rank;
    int32_t result;
  };
  static uint64_t Key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  const Target* Find(int32_t left, int32_t right) const;
  void AppendBytes(std::string_view word, std::vector<BpeSymbol>* symbols) const;
  void MergeShort(size_t first, std::vector<BpeSymbol>* symbols) const;
  void MergeLong(size_t first, std::vector<BpeSymbol>* symbols) const;

  std::array<int32_t, 256> byte_ids_;
  absl::flat_hash_map<uint64_t, Target> merges_;
  absl::flat_hash_map<std::string, int32_t> whole_words_;
  BpeOptions options_;
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_BPE_H_
