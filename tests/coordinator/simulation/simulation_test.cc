// As many simulations as fit the time: TANREN_SIMULATION_SECONDS (default 5) of small ones, which
// find most. TANREN_SIMULATION_SEED begins elsewhere.
#include "tests/coordinator/simulation/simulation.h"

#include <chrono>
#include <cstdlib>
#include <set>
#include <string>

#include "fmt/core.h"
#include "gtest/gtest.h"
#include "tests/coordinator/simulation/dice.h"

namespace tanren::coordinator::simulation {
namespace {

int64_t Setting(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

// A shape that follows from the seed: from one node with a few jobs to some twenty with many.
SimulationOptions Small(uint64_t seed) {
  Dice dice(seed, Purpose::kNodes, 1'000'000);
  SimulationOptions options;
  options.seed = seed;
  options.nodes = static_cast<int>(dice.Between(1, dice.Chance(0.5) ? 5 : 20));
  options.jobs = static_cast<int>(dice.Between(1, 60));
  options.faults = static_cast<int>(dice.Between(0, 60));
  return options;
}

std::string Explained(const SimulationOptions& options, const SimulationResult& result) {
  return fmt::format("{}\nbroken at {:.6f} s: {}\n  {}\nagain, smaller: {} --shrink", result.tail,
                     static_cast<double>(result.violation->at_us) / 1e6,
                     result.violation->invariant, result.violation->what, CommandLine(options));
}

TEST(Simulation, SmallClustersKeepEveryPromiseWhateverGoesWrong) {
  const auto begin = std::chrono::steady_clock::now();
  const std::chrono::seconds budget(Setting("TANREN_SIMULATION_SECONDS", 5));
  uint64_t seed = static_cast<uint64_t>(Setting("TANREN_SIMULATION_SEED", 1));
  uint64_t ran = 0;
  Figures figures;
  while (std::chrono::steady_clock::now() - begin < budget) {
    const SimulationOptions options = Small(seed++);
    const SimulationResult result = Simulate(options);
    ASSERT_FALSE(result.violation.has_value()) << Explained(options, result);
    ++ran;
    figures.trainings += result.figures.trainings;
    figures.faults += result.figures.faults;
    figures.coordinator_starts += result.figures.coordinator_starts;
  }
  fmt::print("{} seeds: {} trainings, {} faults, {} starts of the coordinator\n", ran,
             figures.trainings, figures.faults, figures.coordinator_starts);
  EXPECT_GT(ran, 0u);
}

TEST(Simulation, TheSameSeedGivesTheSameTrace) {
  std::set<uint64_t> traces;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const SimulationResult a = Simulate(Small(seed));
    const SimulationResult b = Simulate(Small(seed));
    EXPECT_EQ(a.trace_hash, b.trace_hash);
    EXPECT_EQ(a.events, b.events);
    EXPECT_TRUE(traces.insert(a.trace_hash).second) << "two seeds gave one trace";
  }
}

TEST(Simulation, WithoutFaultsJobsRunOnce) {
  SimulationOptions options;
  options.faults = 0;
  const SimulationResult result = Simulate(options);
  ASSERT_FALSE(result.violation.has_value()) << Explained(options, result);
  EXPECT_EQ(result.figures.coordinator_starts, 1u);
  EXPECT_GT(result.figures.trainings, 30u);
  EXPECT_GT(result.figures.log_pieces, 10u);
}

}  // namespace
}  // namespace tanren::coordinator::simulation
