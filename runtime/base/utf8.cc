#include "runtime/base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace tanren {
namespace {

// The bytes that may follow a lead byte directly; overlong forms, surrogates and what lies above
// U+10FFFF are excluded here (Unicode 15, table 3-7).
struct Sequence {
  int length = 0;  // 0: not a lead byte
  uint8_t second_low = 0x80;
  uint8_t second_high = 0xBF;
};

Sequence SequenceOf(uint8_t lead) {
  if (lead < 0x80) return {1};
  if (lead < 0xC2) return {};
  if (lead < 0xE0) return {2};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

}  // namespace

DecodedCodePoint DecodeFirst(std::string_view text) {
  if (text.empty()) return {};
  const auto lead = static_cast<uint8_t>(text[0]);
  const Sequence sequence = SequenceOf(lead);
  if (sequence.length == 0) return {0xFFFD, 1};
  if (sequence.length == 1) return {lead, 1, true};
  char32_t code_point = lead & (0x7F >> sequence.length);
  for (int i = 1; i < sequence.length; ++i) {
    const auto at = static_cast<size_t>(i);
    if (at == text.size()) return {0xFFFD, at, false, true};
    const auto byte = static_cast<uint8_t>(text[at]);
    const uint8_t low = i == 1 ? sequence.second_low : 0x80;
    const uint8_t high = i == 1 ? sequence.second_high : 0xBF;
    if (byte < low || byte > high) return {0xFFFD, at};
    code_point = code_point << 6 | (byte & 0x3F);
  }
  return {code_point, static_cast<size_t>(sequence.length), true};
}

size_t ValidPrefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t word;
    if (text.size() - at >= sizeof word) {  // eight ASCII bytes at once
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        at += sizeof word;
        continue;
      }
    }
    const DecodedCodePoint decoded = DecodeFirst(text.substr(at));
    if (!decoded.valid) return at;
    at += decoded.length;
  }
  return at;
}

std::string ValidUtf8(std::string_view text, size_t limit) {
  std::string valid;
  valid.reserve(std::min(text.size(), limit));
  while (!text.empty()) {
    const DecodedCodePoint first = DecodeFirst(text);
    const size_t length = first.valid ? first.length : 1;
    if (valid.size() + length > limit) break;
    if (first.valid) {
      valid += text.substr(0, length);
    } else {
      valid += '?';
    }
    text.remove_prefix(length);
  }
  return valid;
}

}  // namespace tanren
