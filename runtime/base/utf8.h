// Text from outside, made fit for a protocol buffer's string: one that isn't UTF-8 can be written,
// but not read again. (runtime/text has more of Unicode, and what it depends on.)
#ifndef TANREN_RUNTIME_BASE_UTF8_H_
#define TANREN_RUNTIME_BASE_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace tanren {

// The beginning of `text`, at most `limit` bytes and no part of a character; each byte that belongs
// to none as "?".
std::string ValidUtf8(std::string_view text, size_t limit);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_UTF8_H_
