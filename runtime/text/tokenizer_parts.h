// What a tokenizer is made of, read and checked, whichever file it came from. Not for users of
// tokenizer.h.
#ifndef TANREN_RUNTIME_TEXT_TOKENIZER_PARTS_H_
#define TANREN_RUNTIME_TEXT_TOKENIZER_PARTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "nlohmann/json_fwd.hpp"
#include "runtime/text/bpe.h"
#include "runtime/text/pretokenizer.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/tokenizer_added.h"

namespace tanren::text {

// Tokens by id and by written form.
class Vocabulary {
 public:
  struct Entry {
    std::string text;   // as the file writes it
    std::string bytes;  // what it stands for
    bool present = false;
    bool in_alphabet = false;  // the text is written in the byte alphabet
    bool in_model = false;     // in the model's vocabulary, not added only
    bool special = false;
  };

  // For ids below `limit`. Throws Error for an id out of range, and for an id or a text given
  // twice.
  explicit Vocabulary(int64_t limit) : limit_(limit) {}
  void Add(std::string_view text, int64_t id);
  // An added token: its own UTF-8 is what it stands for. It may be in the model's vocabulary, then
  // under the same id.
  void AddAdded(const AddedToken& token);

  std::optional<int32_t> Find(std::string_view text) const;
  const Entry* Get(int64_t id) const;  // null for no token
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  Entry& Make(std::string_view text, int64_t id);
  int64_t limit_;
  std::vector<Entry> entries_;
  absl::flat_hash_map<std::string, int32_t> ids_;
};

// The steps of a tokenizer.json around its model, and the JSON they were read from.
struct Pipeline {
  bool nfc = false;
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  std::vector<int32_t> prefix, suffix;
  std::string normalizer = "null";
  std::string pre_tokenizer = "null";
  std::string post_processor = "null";
  std::string decoder = "null";
};

struct TokenizerParts {
  Vocabulary vocabulary{0};
  std::vector<BpeMerge> merges;
  BpeOptions options;
  std::vector<AddedToken> added;
  Pipeline pipeline;
  SpecialTokenIds special;
  std::string chat_template;
};

// Merges given as pairs of written forms. Throws Error where a token is not in the vocabulary.
BpeMerge ResolveMerge(const Vocabulary& vocabulary, std::string_view left, std::string_view right);
// "left right". Throws Error if it is not two words.
BpeMerge ResolveMerge(const Vocabulary& vocabulary, std::string_view merge);

// `where` names the file in errors. Throw Error.
nlohmann::json ParseJson(std::string_view text, std::string_view where);
Pipeline ReadPipeline(const nlohmann::json& tokenizer_json, std::string_view where);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_TOKENIZER_PARTS_H_
