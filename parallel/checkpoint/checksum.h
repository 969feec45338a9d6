// XXH64 (xxHash, 64 bits, seed 0): notices damaged bytes of a checkpoint at the speed of memory.
// No protection against people.
#ifndef TANREN_PARALLEL_CHECKPOINT_CHECKSUM_H_
#define TANREN_PARALLEL_CHECKPOINT_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tanren::parallel {

uint64_t Checksum(std::span<const std::byte> bytes);
uint64_t Checksum(std::string_view text);

// As files write it: 16 lower-case hexadecimal digits.
std::string ChecksumText(uint64_t checksum);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_CHECKSUM_H_
