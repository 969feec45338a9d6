// The patterns of tokenizer.json, run by PCRE2. The field runs them with Oniguruma (Ruby's syntax);
// where the two differ the pattern is rewritten, or refused if it cannot be.
#ifndef TANREN_RUNTIME_TEXT_PRETOKENIZER_REGEX_H_
#define TANREN_RUNTIME_TEXT_PRETOKENIZER_REGEX_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

// PCRE2's types, declared here so that its header stays out of ours.
struct pcre2_real_code_8;

namespace tanren::text {

// The Unicode version of PCRE2's tables: 14.0 with Debian 12's 10.42. \p{…} in patterns stands for
// Unicode 16.0 nevertheless, as in the field (unicode_additions.h), but for \p{C}, \p{Cn}, scripts
// other than Han, and \P{…} inside a class.
std::string RegexUnicodeVersion();

// Bytes [begin, end) of a text.
struct TextSpan {
  size_t begin = 0;
  size_t end = 0;
};

// `pattern` in PCRE2's syntax with the meaning it has in the field: \s is White_Space (PCRE2 adds
// U+180E), \w is alphabetic, mark, digit or connector, \p{Han} is the script, not its extensions.
// Errors name what has no equal in PCRE2.
absl::StatusOr<std::string> TranslatePattern(std::string_view pattern);

// A compiled pattern; immutable, so any number of threads may search with it.
class Regex {
 public:
  static absl::StatusOr<Regex> Compile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // All matches in valid UTF-8, from left to right, not overlapping; empty ones are left out.
  // The text is taken alone: what stands around it in memory is not looked at.
  // Throws Error(kResourceExhausted) when a match takes more steps or memory than is allowed.
  std::vector<TextSpan> FindAll(std::string_view valid_text) const;

  const std::string& pattern() const { return pattern_; }

 private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  Regex() = default;
  std::string pattern_;  // as it was given
  std::unique_ptr<pcre2_real_code_8, CodeDeleter> code_;
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_PRETOKENIZER_REGEX_H_
