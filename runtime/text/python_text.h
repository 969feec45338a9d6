// Python's string operations on tracked text, as chat templates call them. Positions and lengths
// that a template sees are code points, as in Python; the text is valid UTF-8.
#ifndef TANREN_RUNTIME_TEXT_PYTHON_TEXT_H_
#define TANREN_RUNTIME_TEXT_PYTHON_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/tracked_text.h"

namespace tanren::text {

bool IsPythonSpace(char32_t c);      // str.isspace
bool IsPythonPrintable(char32_t c);  // str.isprintable: shown by repr without an escape

size_t CountCodePoints(std::string_view text);
// Byte offsets of every code point, and the size at the end.
std::vector<size_t> CodePointOffsets(std::string_view text);

enum class StripSides { kBoth, kLeft, kRight };
// Without `characters`, strips white space.
TrackedText Strip(const TrackedText& text, StripSides sides,
                  std::optional<std::string_view> characters = std::nullopt);

// At most `limit` cuts, from the left or from the right. An absent separator means runs of white
// space, as in Python; it must not be empty.
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
std::vector<TrackedText> Split(const TrackedText& text, std::optional<std::string_view> separator,
                               int64_t limit = kNoLimit);
std::vector<TrackedText> SplitFromRight(const TrackedText& text,
                                        std::optional<std::string_view> separator,
                                        int64_t limit = kNoLimit);
std::vector<TrackedText> SplitLines(const TrackedText& text, bool keep_ends);

TrackedText Replace(const TrackedText& text, std::string_view old, const TrackedText& replacement,
                    int64_t limit = kNoLimit);

// Letter case by Unicode's simple mappings (utf8proc), and U+00DF in upper case as "SS"; characters
// that are already in the wanted case stay copies.
enum class LetterCase { kUpper, kLower, kCapitalized, kTitleMethod, kTitleFilter };
TrackedText ToCase(const TrackedText& text, LetterCase letter_case);

// What Python's repr writes for a string, quotes included.
TrackedText ReprOf(const TrackedText& text);

// & < > ' " as HTML entities.
TrackedText EscapeHtml(const TrackedText& text);

// str.isalpha and its kin over the whole text; false for an empty one.
enum class CharacterClass { kAlpha, kDigit, kAlphanumeric, kSpace, kUpper, kLower };
bool IsAll(std::string_view text, CharacterClass wanted);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_PYTHON_TEXT_H_
