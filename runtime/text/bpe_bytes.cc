#include "runtime/text/bpe_bytes.h"

#include <array>

#include "runtime/text/unicode.h"

namespace tanren::text {
namespace {

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int16_t, 512> byte{};
};

// Bytes that are printable in Latin-1 stand for themselves; the others, in order, for U+0100 on.
constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte) byte = -1;
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    const char32_t character = printable ? byte : next++;
    alphabet.character[byte] = character;
    alphabet.byte[character] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

char32_t ByteCharacter(uint8_t byte) { return kAlphabet.character[byte]; }

int CharacterByte(char32_t character) {
  return character < kAlphabet.byte.size() ? kAlphabet.byte[character] : -1;
}

std::string TokenBytes(std::string_view token, bool* in_alphabet) {
  std::string bytes;
  if (in_alphabet != nullptr) *in_alphabet = true;
  for (size_t at = 0; at < token.size();) {
    const DecodedCodePoint decoded = DecodeFirst(token.substr(at));
    const int byte = decoded.valid ? CharacterByte(decoded.code_point) : -1;
    if (byte < 0) {
      if (in_alphabet != nullptr) *in_alphabet = false;
      return std::string(token);
    }
    bytes.push_back(static_cast<char>(byte));
    at += decoded.length;
  }
  return bytes;
}

}  // namespace tanren::text
