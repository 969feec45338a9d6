// Text as code points, and the character classes that tokenizers ask about, equal to what Hugging
// Face's tokenizers 0.23 has: the tables of the installed utf8proc (UnicodeVersion(): 15.0 with
// Debian 12's 2.8), and unicode_additions.h for what they lack.
#ifndef TANREN_RUNTIME_TEXT_UNICODE_H_
#define TANREN_RUNTIME_TEXT_UNICODE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "runtime/base/utf8.h"
#include "runtime/text/source_map.h"

namespace tanren::text {

std::string_view UnicodeVersion();

using tanren::DecodedCodePoint;
using tanren::DecodeFirst;
using tanren::ValidPrefix;

// The last code point of valid UTF-8; not to be called with an empty text.
char32_t DecodeLast(std::string_view valid_text);

void AppendUtf8(char32_t code_point, std::string* out);

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
