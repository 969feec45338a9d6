// Chance, fixed by (seed, what it decides): taking away one fault or one job leaves the others'
// dice as they fell.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_DICE_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_DICE_H_

#include <cmath>
#include <cstdint>

#include "runtime/base/random.h"

namespace tanren::coordinator::simulation {

enum class Purpose : uint32_t {
  kNodes = 1,
  kWorkload,
  kFaults,
  kNetwork,
  kMachine,
  kAttempt,
  kCoordinator,
  kClients,
  kFollowers,
};

class Dice {
 public:
  Dice(uint64_t seed, Purpose purpose, uint32_t which = 0)
      : stream_(seed + (static_cast<uint64_t>(purpose) << 40), RandomPurpose::kSampling, which,
                static_cast<uint32_t>(purpose)) {}

  bool Chance(double probability) { return probability > 0 && stream_.NextUniform() < probability; }
  double Uniform() { return stream_.NextUniform(); }
  // Both ends are possible.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(stream_.NextBelow(static_cast<uint64_t>(high - low + 1)));
  }
  int64_t Exponential(double mean) {
    return static_cast<int64_t>(-mean * std::log(1 - stream_.NextUniform()));
  }

 private:
  RandomStream stream_;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_DICE_H_
