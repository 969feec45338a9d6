// The byte alphabet of byte-level vocabularies: each of the 256 bytes is written as one printable
// character (the space, for one, as U+0120), so that every token is readable text in a file.
#ifndef TANREN_RUNTIME_TEXT_BPE_BYTES_H_
#define TANREN_RUNTIME_TEXT_BPE_BYTES_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace tanren::text {

// The character that stands for `byte`.
char32_t ByteCharacter(uint8_t byte);

// The byte that a character stands for, or -1.
int CharacterByte(char32_t character);

// The bytes a token's written form stands for. If any of its characters is outside the alphabet,
// the token stands for its own UTF-8, and `in_alphabet` says so.
std::string TokenBytes(std::string_view token, bool* in_alphabet = nullptr);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_BPE_BYTES_H_
