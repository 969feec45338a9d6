#include "runtime/base/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace tanren {

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

RandomStream::RandomStream(uint64_t seed, RandomPurpose purpose, uint32_t a, uint32_t b)
    : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
      // The purpose shares a word with the high part of the index, which stays below 2^24 blocks.
      counter_{0, a, b, static_cast<uint32_t>(purpose) << 24} {}

uint32_t RandomStream::NextWord() {
  if (used_ == 4) {
    block_ = Philox(counter_, key_);
    used_ = 0;
    if (++counter_[0] == 0) ++counter_[3];
  }
  return block_[used_++];
}

double RandomStream::NextUniform() {
  const uint64_t high = NextWord() >> 5;
  const uint64_t low = NextWord() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1.0p-53;
}

uint64_t RandomStream::NextBelow(uint64_t bound) {
  // Rejects the words of the last, incomplete run of `bound` values.
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  while (true) {
    const uint64_t high = NextWord();
    const uint64_t word = (high << 32) | NextWord();
    if (word < limit) return word % bound;
  }
}

double RandomStream::NextNormal() {
  const double radius = std::sqrt(-2.0 * std::log1p(-NextUniform()));
  return radius * std::cos(2.0 * std::numbers::pi * NextUniform());
}

std::vector<uint64_t> Permutation(uint64_t count, RandomStream stream) {
  std::vector<uint64_t> order(count);
  std::iota(order.begin(), order.end(), uint64_t{0});
  for (uint64_t i = count; i > 1; --i) std::swap(order[i - 1], order[stream.NextBelow(i)]);
  return order;
}

}  // namespace tanren
