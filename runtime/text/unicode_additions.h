// Characters that the tables of the installed libraries may lack: the field's tokenizers know
// Unicode 16.0 in patterns and for words, 17.0 for digits and 9.0 for the order of combining marks,
// whatever is installed here. tests/golden/characters.py asks them about every character.
#ifndef TANREN_RUNTIME_TEXT_UNICODE_ADDITIONS_H_
#define TANREN_RUNTIME_TEXT_UNICODE_ADDITIONS_H_

#include <span>
#include <string_view>

namespace tanren::text {

// The characters `first` to `last`, and their general category: two letters.
struct UnicodeAddition {
  char32_t first = 0;
  char32_t last = 0;
  std::string_view category;
};

// What was assigned, or became something else, after Unicode 14.0 and up to 16.0, in order.
std::span<const UnicodeAddition> UnicodeAdditions();

// The general category of one of these; empty for any other character.
std::string_view AddedCategory(char32_t c);

// Whether this is a combining mark, or one that composes, since a version of Unicode after 9.0.
bool IsLateMark(char32_t c);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_UNICODE_ADDITIONS_H_
