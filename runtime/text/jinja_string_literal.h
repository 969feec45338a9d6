// The escapes in a template's string literals.
#ifndef TANREN_RUNTIME_TEXT_JINJA_STRING_LITERAL_H_
#define TANREN_RUNTIME_TEXT_JINJA_STRING_LITERAL_H_

#include <string>
#include <string_view>

namespace tanren::text::jinja {

// Appends what stands between the quotes, as Python reads it (\n, \x41, \u3042, \101, an unknown
// escape as it stands). Returns what is wrong, or nothing.
std::string UnescapeStringLiteral(std::string_view quoted, std::string* out);

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_STRING_LITERAL_H_
