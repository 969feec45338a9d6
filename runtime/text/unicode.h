// UTF-8 and the character classes that tokenizers ask about. Classes and normalisation follow the
// Unicode version of the installed utf8proc, which UnicodeVersion() states (15.0 with Debian 12's
// utf8proc 2.8); patterns follow PCRE2's tables, which RegexUnicodeVersion() in
// pretokenizer_regex.h states.
#ifndef TANREN_RUNTIME_TEXT_UNICODE_H_
#define TANREN_RUNTIME_TEXT_UNICODE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "runtime/text/source_map.h"

namespace tanren::text {

std::string_view UnicodeVersion();

// What stands at the start of a text. For broken UTF-8 `valid` is false and `length` is the
// maximal subpart: the longest prefix of a well-formed sequence there, at least one byte.
struct DecodedCodePoint {
  char32_t code_point = 0xFFFD;
  size_t length = 0;  // bytes; 0 only for an empty text
  bool valid = false;
  bool truncated = false;  // the text ends inside a sequence that is well-formed so far
};
DecodedCodePoint DecodeFirst(std::string_view text);

// The last code point of valid UTF-8; not to be called with an empty text.
char32_t DecodeLast(std::string_view valid_text);

void AppendUtf8(char32_t code_point, std::string* out);

// The length of the longest prefix that is valid UTF-8.
size_t ValidPrefix(std::string_view text);

// `text` with each maximal subpart of broken UTF-8 replaced by U+FFFD, as Rust's from_utf8_lossy
// does it. `map`, if given, must be fresh and learns where each byte came from.
std::string RepairUtf8(std::string_view text, SourceMap* map = nullptr);

bool IsNumeric(char32_t c);  // general category Nd, Nl or No
bool IsSpace(char32_t c);    // White_Space
bool IsWord(char32_t c);     // Alphabetic, mark, decimal digit, connector or joiner

// Normalization form C of valid UTF-8. Returns false, leaving the outputs alone, if the text is in
// that form already. A run of characters that changed maps to the whole run it replaces. Differs
// from Hugging Face's tokenizers, whose tables are of Unicode 9, in the order of 51 combining marks
// of later versions, all of rare scripts.
bool NormalizeNfc(std::string_view valid_text, std::string* out, SourceMap* map);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_UNICODE_H_
