// Byte-level BPE tokenizers, from a Hugging Face tokenizer.json or from the vocabulary in a GGUF.
// They give the ids that Hugging Face's `tokenizers` gives; what they cannot do as it does is an
// error when they are loaded. What they take each character for is in unicode.h and
// pretokenizer_regex.h.
#ifndef TANREN_RUNTIME_TEXT_TOKENIZER_H_
#define TANREN_RUNTIME_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/text/source_map.h"

namespace tanren::text {

// What the text of a special token means where it stands in a text.
enum class SpecialTokens {
  kParse,      // the token: for rendered templates and prompts by someone trusted
  kPlainText,  // ordinary characters: for texts by users and data. No special token comes out, but
               // where it is the only token for a byte. Added tokens that are not special are
               // tokens here too, as in the field.
};

// Token types of a GGUF.
enum class TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// The ids with a role in the model; each may be absent.
struct SpecialTokenIds {
  std::optional<int32_t> bos, eos, pad, unk;
};

// The vocabulary in a GGUF's metadata, as its reader fills it in. The keys are given beside.
struct TokenizerVocabulary {
  std::string where;                 // the file, for errors
  std::string model = "gpt2";        // tokenizer.ggml.model; others are refused
  std::string pre_tokenizer;         // tokenizer.ggml.pre
  std::vector<std::string> tokens;   // tokenizer.ggml.tokens; the index is the id
  std::vector<int32_t> token_types;  // tokenizer.ggml.token_type; empty: all normal
  std::vector<std::string> merges;   // tokenizer.ggml.merges: "left right"
  SpecialTokenIds special;           // tokenizer.ggml.{bos,eos,padding,unknown}_token_id
  std::optional<bool> add_bos;       // tokenizer.ggml.add_bos_token
  std::optional<bool> add_eos;       // tokenizer.ggml.add_eos_token
  std::string chat_template;         // tokenizer.chat_template
};

// Tokens and, for each, the bytes of the caller's text it stands for. Ranges are in order. A token
// may cover a part of a character. U+FFFD for broken UTF-8 refers to the broken bytes; a token from
// a run of characters that normalisation changed refers to the whole run, so such neighbours
// overlap; an inserted space refers to an empty range. Without these, ranges touch and cover the
// text, but for bytes that the vocabulary or a pattern leaves out.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<ByteRange> ranges;
};

struct TokenizerParts;

// Immutable once its special ids are set; then any number of threads may use it.
class Tokenizer {
 public:
  // Errors name `where` (the file), the place in it, what was found and what was expected.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromJson(std::string_view tokenizer_json,
                                                             std::string_view where);
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromVocabulary(
      const TokenizerVocabulary& vocabulary);
  ~Tokenizer();

  // The ids of `text` alone: no token is put before or after it (prefix_ids, suffix_ids). Broken
  // UTF-8 is read as U+FFFD, one for each maximal subpart. Throws Error for a text of more than
  // 1 GiB, and where a pattern takes too many steps.
  std::vector<int32_t> Encode(std::string_view text, SpecialTokens mode) const;
  Encoding EncodeWithOffsets(std::string_view text, SpecialTokens mode) const;

  // The text of the tokens; bytes that are not UTF-8 become U+FFFD. Ids that stand for no token are
  // left out, and special ones with `skip_special`.
  std::string Decode(std::span<const int32_t> ids, bool skip_special) const;
  // The bytes of one token, which may be a part of a character; empty for no token.
  std::string_view TokenBytes(int32_t id) const;

  // By the token's written form in the vocabulary file.
  std::optional<int32_t> TokenToId(std::string_view token) const;
  std::optional<std::string_view> IdToToken(int32_t id) const;
  // One more than the highest id.
  int32_t vocabulary_size() const;
  bool IsSpecial(int32_t id) const;

  // The tokens that the file's post-processor puts around a text.
  const std::vector<int32_t>& prefix_ids() const;
  const std::vector<int32_t>& suffix_ids() const;
  bool add_bos() const { return !prefix_ids().empty(); }

  // A tokenizer.json has none of these: they come from tokenizer_config.json or
  // generation_config.json, or from the GGUF. Ids that stand for no token are an error.
  const SpecialTokenIds& special_ids() const;
  absl::Status set_special_ids(const SpecialTokenIds& ids);
  std::optional<int32_t> bos_id() const { return special_ids().bos; }
  std::optional<int32_t> eos_id() const { return special_ids().eos; }
  std::optional<int32_t> pad_id() const { return special_ids().pad; }
  // Empty where the source has none.
  const std::string& chat_template() const;

  // A tokenizer.json that behaves as this tokenizer does.
  std::string ToJson() const;
  // A tokenizer_config.json to stand beside it, with which transformers loads the folder.
  // `chat_template` may be empty.
  std::string ToConfigJson(std::string_view chat_template) const;
  // The vocabulary as a GGUF keeps it, of `size` tokens: ids that stand for no token get unused
  // ones. What a GGUF can't express is an error that names it: a pre-tokenizer without a name
  // there, other tokens around a text than bos and eos, added tokens that take white space along.
  absl::StatusOr<TokenizerVocabulary> ToVocabulary(int32_t size) const;

  struct Impl;

 private:
  explicit Tokenizer(TokenizerParts parts);
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Create(TokenizerParts parts);
  std::unique_ptr<Impl> impl_;
};

// Sets the special ids from the text of a tokenizer_config.json (bos_token and its kin: a string or
// an object with "content"). Entries that are absent or null leave what is set.
absl::Status ApplyTokenizerConfig(std::string_view tokenizer_config_json, std::string_view where,
                                  Tokenizer* tokenizer);

// Decodes token by token: a character comes out when its last byte has come in. What it has put out
// after Finish() is what Decode gives for the same ids.
class StreamingDecoder {
 public:
  // The tokenizer must outlive the decoder.
  StreamingDecoder(const Tokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  std::string Push(int32_t id);
  // What is held back, as U+FFFD.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string held_;  // the start of a character
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_TOKENIZER_H_
