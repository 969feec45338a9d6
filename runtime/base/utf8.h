// UTF-8: what of a text is well-formed, and text from outside made fit for a protocol buffer's
// string, which could be written but not read again if it weren't. (runtime/text has more of
// Unicode, and what it depends on.)
#ifndef TANREN_RUNTIME_BASE_UTF8_H_
#define TANREN_RUNTIME_BASE_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace tanren {

// What stands at the start of a text. For broken UTF-8 `valid` is false and `length` is the
// maximal subpart: the longest prefix of a well-formed sequence there, at least one byte.
struct DecodedCodePoint {
  char32_t code_point = 0xFFFD;
  size_t length = 0;  // bytes; 0 only for an empty text
  bool valid = false;
  bool truncated = false;  // the text ends inside a sequence that is well-formed so far
};
DecodedCodePoint DecodeFirst(std::string_view text);

// The length of the longest prefix that is valid UTF-8.
size_t ValidPrefix(std::string_view text);

// The beginning of `text`, at most `limit` bytes and no part of a character; each byte that belongs
// to none as "?".
std::string ValidUtf8(std::string_view text, size_t limit);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_UTF8_H_
