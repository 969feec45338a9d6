// Reads numbers and strings off a byte range, never beyond its end.
#ifndef TANREN_RUNTIME_FORMATS_BYTE_CURSOR_H_
#define TANREN_RUNTIME_FORMATS_BYTE_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/error.h"

namespace tanren::formats {

// Throws Error(kInvalidArgument) where the bytes end too early. `where` is the file.
class ByteCursor {
 public:
  ByteCursor(std::span<const std::byte> bytes, std::string_view where)
      : bytes_(bytes), where_(where) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  template <typename T>
  T Read(std::string_view what) {
    Require(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  // A length of 8 bytes, then as many bytes.
  std::string ReadString(std::string_view what) {
    const auto length = Read<uint64_t>(what);
    Require(length, what);
    std::string text(reinterpret_cast<const char*>(bytes_.data() + position_), length);
    position_ += length;
    return text;
  }

  // A count of things that take at least `least_bytes` each: more than fit aren't believed, so
  // that memory may be reserved for them.
  uint64_t ReadCount(uint64_t least_bytes, std::string_view what) {
    const auto count = Read<uint64_t>(what);
    if (count > remaining() / least_bytes) {
      Fail(fmt::format("{}: {} are announced, but {} bytes are left", what, count, remaining()));
    }
    return count;
  }

  [[noreturn]] void Fail(std::string_view message) const {
    throw Error(
        absl::InvalidArgumentError(fmt::format("{}: byte {}: {}", where_, position_, message)));
  }

 private:
  void Require(uint64_t count, std::string_view what) const {
    if (count > remaining()) {
      Fail(fmt::format("{} takes {} bytes, but {} are left", what, count, remaining()));
    }
  }

  std::span<const std::byte> bytes_;
  std::string where_;
  uint64_t position_ = 0;
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_BYTE_CURSOR_H_
