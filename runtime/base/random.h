// Counter-based random numbers: a value is a function of (seed, purpose, a, b, index) alone, so it
// does not depend on how many ranks draw or in which order.  Philox4x32-10, Salmon et al. 2011,
// doi:10.1145/2063384.2063405.
#ifndef TANREN_RUNTIME_BASE_RANDOM_H_
#define TANREN_RUNTIME_BASE_RANDOM_H_

#include <array>
#include <cstdint>
#include <vector>

namespace tanren {

// What a stream of numbers is for; streams of different purposes are independent.
enum class RandomPurpose : uint32_t {
  kInitialization = 1,
  kShuffle = 2,
  kMixture = 3,
  kSampling = 4,
  kDropout = 5,
  kValidation = 6,
  kBootstrap = 7,
};

// Philox4x32-10: four random words for a counter and a key.
std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// A stream of numbers fixed by (seed, purpose, a, b), where a and b say which step, sample, layer.
class RandomStream {
 public:
  RandomStream(uint64_t seed, RandomPurpose purpose, uint32_t a = 0, uint32_t b = 0);
  uint32_t NextWord();
  // Uniform in [0, 1), 53 random bits.
  double NextUniform();
  // Uniform in [0, bound), without bias. Requires bound > 0.
  uint64_t NextBelow(uint64_t bound);
  // Standard normal (Box-Muller).
  double NextNormal();

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_;
  int used_ = 4;
};

// A uniformly random permutation of 0 … count − 1.
std::vector<uint64_t> Permutation(uint64_t count, RandomStream stream);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_RANDOM_H_
