#include "runtime/telemetry/crc32c.h"

#include <array>
#include <bit>

namespace tanren::telemetry {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 with its bits reversed

// What each byte does to the remainder.
constexpr std::array<uint32_t, 256> Table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) {
      remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? kPolynomial : 0);
    }
    table[byte] = remainder;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = Table();

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  uint32_t remainder = ~uint32_t{0};
  for (const char byte : bytes) {
    remainder = (remainder >> 8) ^ kTable[(remainder ^ static_cast<uint8_t>(byte)) & 0xFF];
  }
  return ~remainder;
}

uint32_t MaskedCrc32c(std::string_view bytes) {
  constexpr uint32_t kMaskDelta = 0xA282EAD8;
  return std::rotr(Crc32c(bytes), 15) + kMaskDelta;
}

}  // namespace tanren::telemetry
