#include "runtime/text/unicode.h"

#include <utf8proc.h>

#include <cstdint>

#include "runtime/text/unicode_additions.h"

namespace tanren::text {
std::string_view UnicodeVersion() { return utf8proc_unicode_version(); }

char32_t DecodeLast(std::string_view valid_text) {
  size_t at = valid_text.size() - 1;
  while (at > 0 && (static_cast<uint8_t>(valid_text[at]) & 0xC0) == 0x80) --at;
  return DecodeFirst(valid_text.substr(at)).code_point;
}

void AppendUtf8(char32_t code_point, std::string* out) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

std::string RepairUtf8(std::string_view text, SourceMap* map) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t good = ValidPrefix(text.substr(at));
    out.append(text.substr(at, good));
    if (map != nullptr) map->AppendCopy(good, at);
    at += good;
    if (at == text.size()) break;
    const size_t bad = DecodeFirst(text.substr(at)).length;
    out.append("\xEF\xBF\xBD");
    if (map != nullptr) map->AppendReplacement(3, at, at + bad);
    at += bad;
  }
  return out;
}

bool IsNumeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) return true;
  const bool of_unicode_17 = (c >= 0x11DE0 && c <= 0x11DE9) || (c >= 0x16FF4 && c <= 0x16FF6);
  return of_unicode_17 || AddedCategory(c).starts_with('N');
}

bool IsSpace(char32_t c) {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool IsWord(char32_t c) {
  // Alphabetic symbols that are not letters: circled and squared Latin letters.
  if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
      (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189)) {
    return true;
  }
  if (c == 0x200C || c == 0x200D) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      break;
  }
  const std::string_view added = AddedCategory(c);
  return added.starts_with('L') || added.starts_with('M') || added == "Nd" || added == "Nl" ||
         added == "Pc";
}

}  // namespace tanren::text
