#include "trainer/report/html.h"

#include <cmath>

#include "fmt/format.h"

namespace tanren::trainer {

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char byte : text) {
    switch (byte) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\n':
      case '\t':
        escaped += byte;
        break;
      default:
        const auto code = static_cast<unsigned char>(byte);
        if (code < 0x20 || code == 0x7f) {
          escaped += "\uFFFD";
        } else {
          escaped += byte;
        }
    }
  }
  return escaped;
}

std::string Clipped(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return std::string(text.substr(0, bytes)) + "…";
}

std::string LanguageAttribute(std::string_view text) {
  // U+3040 to U+30FF, hiragana and katakana: E3 81 80 to E3 83 BF.
  for (size_t at = text.find('\xE3'); at != text.npos; at = text.find('\xE3', at + 1)) {
    if (at + 1 >= text.size()) break;
    const auto second = static_cast<unsigned char>(text[at + 1]);
    if (second >= 0x81 && second <= 0x83) return " lang=ja";
  }
  return "";
}

std::string ScrollBox(std::string_view label, std::string_view content) {
  return fmt::format("<div class=scroll tabindex=0 role=region aria-label=\"{}\">{}</div>\n",
                     EscapeHtml(label), content);
}

std::string FormatFigure(double value) {
  const double size = std::abs(value);
  if (!std::isfinite(value)) return "–";
  if (size >= 1e12) return fmt::format("{:.2e}", value);
  if (size >= 1e9) return fmt::format("{:.1f} B", value / 1e9);
  if (size >= 1e6) return fmt::format("{:.1f} M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.0f} k", value / 1e3);
  if (size >= 100) return fmt::format("{:.0f}", value);
  if (size >= 10) return fmt::format("{:.2f}", value);
  if (size >= 1e-2 || size == 0) return fmt::format("{:.3f}", value);
  return fmt::format("{:.2e}", value);
}

}  // namespace tanren::trainer
