#include "runtime/text/jinja_string_literal.h"

#include <charconv>
#include <cstdint>

#include "fmt/format.h"
#include "runtime/text/unicode.h"

namespace tanren::text::jinja {

namespace {

// One-letter escapes and what they stand for.
constexpr std::string_view kLetters = "abfnrtv\\'\"";
constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";

// A code point written with digits of `base` at the front of `digits`; `wanted` digits, or for
// octal up to that many.
std::string CodePoint(std::string_view digits, size_t wanted, int base, std::string* out,
                      size_t* used) {
  uint32_t code = 0;
  const std::string_view part = digits.substr(0, wanted);
  const auto read = std::from_chars(part.data(), part.data() + part.size(), code, base);
  *used = static_cast<size_t>(read.ptr - part.data());
  if (read.ec != std::errc() || (base == 16 && *used != wanted)) {
    return fmt::format("a string escape needs {} hexadecimal digits", wanted);
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    return fmt::format("U+{:04X} in a string escape is not a character", code);
  }
  AppendUtf8(static_cast<char32_t>(code), out);
  return {};
}

}  // namespace

std::string UnescapeStringLiteral(std::string_view quoted, std::string* out) {
  for (size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] != '\\' || i + 1 >= quoted.size()) {
      *out += quoted[i];
      continue;
    }
    const char kind = quoted[++i];
    const std::string_view rest = quoted.substr(i + 1);
    size_t used = 0;
    std::string problem;
    if (const size_t letter = kLetters.find(kind); letter != std::string_view::npos) {
      *out += kMeanings[letter];
    } else if (kind == '\n') {
      continue;  // a line that goes on
    } else if (kind == 'x' || kind == 'u' || kind == 'U') {
      problem = CodePoint(rest, kind == 'x' ? 2 : kind == 'u' ? 4 : 8, 16, out, &used);
    } else if (kind >= '0' && kind <= '7') {
      problem = CodePoint(quoted.substr(i), 3, 8, out, &used);
      if (used > 0) --used;
    } else if (kind == 'N') {
      problem = "unsupported: \\N escapes in strings";
    } else {
      *out += '\\';
      *out += kind;
    }
    if (!problem.empty()) return problem;
    i += used;
  }
  return {};
}

}  // namespace tanren::text::jinja
