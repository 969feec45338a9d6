// What the small clusters can't show: 10,000 jobs on 1,000 nodes, as many seeds as fit
// TANREN_SIMULATION_SECONDS (default 40), and one at least.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "fmt/core.h"
#include "gtest/gtest.h"
#include "tests/coordinator/simulation/simulation.h"

namespace tanren::coordinator::simulation {
namespace {

int64_t Setting(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

TEST(LargeSimulation, TenThousandJobsOnAThousandNodesKeepEveryPromise) {
  const auto begin = std::chrono::steady_clock::now();
  const std::chrono::duration<double> budget(Setting("TANREN_SIMULATION_SECONDS", 40));
  uint64_t seed = static_cast<uint64_t>(Setting("TANREN_SIMULATION_SEED", 1));
  std::chrono::duration<double> took(0);
  std::chrono::duration<double> longest(0);
  while (took + longest <= budget) {
    SimulationOptions options;
    options.seed = seed++;
    options.jobs = 10'000;
    options.nodes = 1'000;
    options.faults = 200;
    const SimulationResult result = Simulate(options);
    ASSERT_FALSE(result.violation.has_value())
        << result.tail << "\n"
        << result.violation->invariant << ": " << result.violation->what
        << "\nagain: " << CommandLine(options);
    const std::chrono::duration<double> now = std::chrono::steady_clock::now() - begin;
    longest = std::max(longest, now - took);
    took = now;
    fmt::print("seed {}: {} happenings, {} trainings, {} commits; {:.1f} s so far\n", options.seed,
               result.events, result.figures.trainings, result.figures.commits, took.count());
  }
}

}  // namespace
}  // namespace tanren::coordinator::simulation
