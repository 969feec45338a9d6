// UTF-8 and the character classes that tokenizers ask about, equal to what Hugging Face's
// tokenizers 0.23 has: the tables of the installed utf8proc (UnicodeVersion(): 15.0 with Debian
// 12's 2.8), and unicode_additions.h for what they lack.
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
// that form already. A run of characters that changed maps to the whole run it replaces. Marks that
// came after Unicode 9 stay where they are, as in the field.
bool NormalizeNfc(std::string_view valid_text, std::string* out, SourceMap* map);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_UNICODE_H_
