#include "runtime/text/python_text.h"

#include <utf8proc.h>

#include <algorithm>

#include "runtime/text/unicode.h"

namespace tanren::text {

bool IsPythonSpace(char32_t c) {
  if (c < 0x80) return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsPythonPrintable(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c < 0x7F;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

size_t CountCodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  }));
}

std::vector<size_t> CodePointOffsets(std::string_view text) {
  std::vector<size_t> offsets;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) offsets.push_back(i);
  }
  offsets.push_back(text.size());
  return offsets;
}

namespace {

size_t LastCodePointBegin(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

bool IsIn(std::string_view character, std::optional<std::string_view> characters) {
  if (!characters.has_value()) return IsPythonSpace(DecodeFirst(character).code_point);
  return characters->find(character) != std::string_view::npos;  // sequences don't overlap in UTF-8
}

// The words between runs of white space.
std::vector<std::pair<size_t, size_t>> Words(std::string_view text) {
  std::vector<std::pair<size_t, size_t>> words;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint decoded = DecodeFirst(text.substr(at));
    const bool space = IsPythonSpace(decoded.code_point);
    if (!space && !inside) words.emplace_back(at, text.size());
    if (space && inside) words.back().second = at;
    inside = !space;
    at += decoded.length;
  }
  return words;
}

}  // namespace

TrackedText Strip(const TrackedText& text, StripSides sides,
                  std::optional<std::string_view> characters) {
  const std::string_view bytes = text.bytes();
  size_t begin = 0, end = bytes.size();
  while (sides != StripSides::kRight && begin < end) {
    const size_t length = DecodeFirst(bytes.substr(begin)).length;
    if (!IsIn(bytes.substr(begin, length), characters)) break;
    begin += length;
  }
  while (sides != StripSides::kLeft && begin < end) {
    const size_t last = LastCodePointBegin(bytes, end);
    if (!IsIn(bytes.substr(last, end - last), characters)) break;
    end = last;
  }
  return text.Slice(begin, end);
}

std::vector<TrackedText> Split(const TrackedText& text, std::optional<std::string_view> separator,
                               int64_t limit) {
  std::vector<TrackedText> parts;
  const std::string_view bytes = text.bytes();
  if (!separator.has_value()) {
    for (const auto& [begin, end] : Words(bytes)) {
      // Past the limit the rest stays whole, with the white space at its end.
      const bool rest = static_cast<int64_t>(parts.size()) == limit;
      parts.push_back(text.Slice(begin, rest ? bytes.size() : end));
      if (rest) break;
    }
    return parts;
  }
  size_t begin = 0;
  while (static_cast<int64_t>(parts.size()) < limit) {
    const size_t found = bytes.find(*separator, begin);
    if (found == std::string_view::npos) break;
    parts.push_back(text.Slice(begin, found));
    begin = found + separator->size();
  }
  parts.push_back(text.Slice(begin, bytes.size()));
  return parts;
}

std::vector<TrackedText> SplitFromRight(const TrackedText& text,
                                        std::optional<std::string_view> separator, int64_t limit) {
  std::vector<TrackedText> parts;
  const std::string_view bytes = text.bytes();
  if (!separator.has_value()) {
    const auto words = Words(bytes);
    size_t kept = words.size();
    while (kept > 0 && static_cast<int64_t>(parts.size()) < limit) {
      --kept;
      parts.push_back(text.Slice(words[kept].first, words[kept].second));
    }
    if (kept > 0) parts.push_back(text.Slice(0, words[kept - 1].second));
  } else {
    size_t end = bytes.size();
    while (static_cast<int64_t>(parts.size()) < limit && end >= separator->size()) {
      const size_t found = bytes.rfind(*separator, end - separator->size());
      if (found == std::string_view::npos) break;
      parts.push_back(text.Slice(found + separator->size(), end));
      end = found;
    }
    parts.push_back(text.Slice(0, end));
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<TrackedText> SplitLines(const TrackedText& text, bool keep_ends) {
  std::vector<TrackedText> lines;
  const std::string_view bytes = text.bytes();
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const DecodedCodePoint decoded = DecodeFirst(bytes.substr(at));
    const char32_t c = decoded.code_point;
    size_t next = at + decoded.length;
    const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                      c == 0x2028 || c == 0x2029;
    if (ends) {
      if (c == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
      lines.push_back(text.Slice(begin, keep_ends ? next : at));
      begin = next;
    }
    at = next;
  }
  if (begin < bytes.size()) lines.push_back(text.Slice(begin, bytes.size()));
  return lines;
}

TrackedText Replace(const TrackedText& text, std::string_view old, const TrackedText& replacement,
                    int64_t limit) {
  TrackedText result;
  const std::string_view bytes = text.bytes();
  if (old.empty()) {
    // Python puts the replacement before every character and at the end.
    const std::vector<size_t> offsets = CodePointOffsets(bytes);
    for (size_t i = 0; i < offsets.size(); ++i) {
      if (static_cast<int64_t>(i) < limit) result.Append(replacement);
      if (i + 1 < offsets.size()) result.AppendSlice(text, offsets[i], offsets[i + 1]);
    }
    return result;
  }
  size_t begin = 0;
  for (int64_t count = 0; count < limit; ++count) {
    const size_t found = bytes.find(old, begin);
    if (found == std::string_view::npos) break;
    result.AppendSlice(text, begin, found);
    result.Append(replacement);
    begin = found + old.size();
  }
  result.AppendSlice(text, begin, bytes.size());
  return result;
}

namespace {

bool IsCased(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}

void AppendCased(const TrackedText& text, size_t at, const DecodedCodePoint& decoded, bool upper,
                 TrackedText* out) {
  std::string changed;
  const auto c = static_cast<utf8proc_int32_t>(decoded.code_point);
  if (upper && c == 0xDF) {
    changed = "SS";
  } else {
    AppendUtf8(static_cast<char32_t>(upper ? utf8proc_toupper(c) : utf8proc_tolower(c)), &changed);
  }
  if (changed == text.bytes().substr(at, decoded.length)) {
    out->AppendSlice(text, at, at + decoded.length);
  } else {
    out->AppendChanged(changed, text, at, at + decoded.length);
  }
}

}  // namespace

TrackedText ToCase(const TrackedText& text, LetterCase letter_case) {
  TrackedText result;
  bool word_begins = true;
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint decoded = DecodeFirst(text.bytes().substr(at));
    const char32_t c = decoded.code_point;
    const bool upper =
        letter_case == LetterCase::kUpper || (letter_case != LetterCase::kLower && word_begins);
    AppendCased(text, at, decoded, upper, &result);
    if (letter_case == LetterCase::kTitleMethod) {
      word_begins = !IsCased(c);
    } else if (letter_case == LetterCase::kTitleFilter) {
      word_begins = IsPythonSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    } else {
      word_begins = false;
    }
    at += decoded.length;
  }
  return result;
}

bool IsAll(std::string_view text, CharacterClass wanted) {
  bool any = false;
  const bool wants_case = wanted == CharacterClass::kUpper || wanted == CharacterClass::kLower;
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint decoded = DecodeFirst(text.substr(at));
    at += decoded.length;
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(decoded.code_point));
    const bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    const bool digit = category == UTF8PROC_CATEGORY_ND;
    if (wants_case) {
      if (!IsCased(decoded.code_point)) continue;
      const auto needed =
          wanted == CharacterClass::kUpper ? UTF8PROC_CATEGORY_LU : UTF8PROC_CATEGORY_LL;
      if (category != needed) return false;
    } else if (wanted == CharacterClass::kSpace) {
      if (!IsPythonSpace(decoded.code_point)) return false;
    } else {
      const bool fits = (letter && wanted != CharacterClass::kDigit) ||
                        (digit && wanted != CharacterClass::kAlpha) ||
                        (wanted == CharacterClass::kAlphanumeric && IsNumeric(decoded.code_point));
      if (!fits) return false;
    }
    any = true;
  }
  return any;
}

}  // namespace tanren::text
