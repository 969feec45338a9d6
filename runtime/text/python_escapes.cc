// Escapes of python_text.h: repr and HTML.
#include "fmt/format.h"
#include "runtime/text/python_text.h"
#include "runtime/text/unicode.h"

namespace tanren::text {

namespace {

std::string ReprEscape(char32_t c, char quote) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\\':
      return "\\\\";
    default:
      break;
  }
  if (c == static_cast<char32_t>(quote)) return fmt::format("\\{}", quote);
  if (IsPythonPrintable(c)) return {};
  const auto code = static_cast<uint32_t>(c);
  if (code < 0x100) return fmt::format("\\x{:02x}", code);
  if (code < 0x10000) return fmt::format("\\u{:04x}", code);
  return fmt::format("\\U{:08x}", code);
}

}  // namespace

TrackedText ReprOf(const TrackedText& text) {
  const bool has_single = text.bytes().find('\'') != std::string_view::npos;
  const bool has_double = text.bytes().find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  TrackedText result;
  result.Append(std::string_view(&quote, 1));
  size_t kept = 0;  // what precedes it is written
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint decoded = DecodeFirst(text.bytes().substr(at));
    const std::string escape = ReprEscape(decoded.code_point, quote);
    if (!escape.empty()) {
      result.AppendSlice(text, kept, at);
      result.AppendChanged(escape, text, at, at + decoded.length);
      kept = at + decoded.length;
    }
    at += decoded.length;
  }
  result.AppendSlice(text, kept, text.size());
  result.Append(std::string_view(&quote, 1));
  return result;
}

TrackedText EscapeHtml(const TrackedText& text) {
  TrackedText result;
  size_t kept = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    std::string_view entity;
    switch (text.bytes()[at]) {
      case '&':
        entity = "&amp;";
        break;
      case '<':
        entity = "&lt;";
        break;
      case '>':
        entity = "&gt;";
        break;
      case '\'':
        entity = "&#39;";
        break;
      case '"':
        entity = "&#34;";
        break;
      default:
        continue;
    }
    result.AppendSlice(text, kept, at);
    result.AppendChanged(entity, text, at, at + 1);
    kept = at + 1;
  }
  result.AppendSlice(text, kept, text.size());
  return result;
}

}  // namespace tanren::text
