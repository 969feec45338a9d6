// Pre-tokenizers: cut a text into the words that byte-pair encoding then works on, one by one.
#ifndef TANREN_RUNTIME_TEXT_PRETOKENIZER_H_
#define TANREN_RUNTIME_TEXT_PRETOKENIZER_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/text/pretokenizer_regex.h"
#include "runtime/text/source_map.h"

namespace tanren::text {

// A text and the words it is cut into so far, in order. `map` leads back to the caller's bytes.
struct SplitText {
  std::string_view text;  // valid UTF-8
  std::vector<TextSpan> words;
  const SourceMap* map = nullptr;

  // A step that changes the text keeps the new text and its map here.
  std::unique_ptr<std::string> changed_text;
  std::unique_ptr<SourceMap> changed_map;
};

// What happens to the matches of a pattern; the names are tokenizer.json's.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// One step. Immutable, so any number of threads may use it.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void Split(SplitText* split) const = 0;
};

// Cuts at the matches of a pattern, or with `invert` at what lies between them.
std::unique_ptr<PreTokenizer> MakeRegexSplit(Regex regex, SplitBehavior behavior, bool invert);
// The same for a literal text.
std::unique_ptr<PreTokenizer> MakeLiteralSplit(std::string literal, SplitBehavior behavior,
                                               bool invert);
// Cuts around numbers (Nd, Nl, No): each character of them alone, or as runs.
std::unique_ptr<PreTokenizer> MakeDigits(bool individual);
// A space before each word that does not start with one.
std::unique_ptr<PreTokenizer> MakePrefixSpace();

// The pattern of GPT-2, which tokenizer.json's ByteLevel means by `use_regex`.
std::string_view Gpt2Pattern();

// What a GGUF's `tokenizer.ggml.pre` stands for, in the terms of tokenizer.json.
struct NamedPreTokenizer {
  std::string_view normalizer;     // JSON
  std::string_view pre_tokenizer;  // JSON
  bool ignore_merges = false;
  bool adds_bos = false;  // where the file does not say
};

// Errors list the names that are known.
absl::StatusOr<NamedPreTokenizer> FindPreTokenizer(std::string_view name);

// The name of what cuts texts in the same way, given as a tokenizer.json does; what only matters
// for offsets may differ. Errors list the names that are known.
absl::StatusOr<std::string_view> NameOfPreTokenizer(std::string_view normalizer,
                                                    std::string_view pre_tokenizer,
                                                    bool ignore_merges);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_PRETOKENIZER_H_
