// What the small clusters can't show: 10,000 jobs on 1,000 nodes, as many seeds as fit
// TANREN_SIMULATION_SECONDS (default 60).
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
  const std::chrono::seconds budget(Setting("TANREN_SIMULATION_SECONDS", 60));
  uint64_t seed = static_cast<uint64_t>(Setting("TANREN_SIMULATION_SEED", 1));
  uint64_t ran = 0;
  while (std::chrono::steady_clock::now() - begin < budget) {
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
    ++ran;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fmt::print("seed {}: {} happenings, {} trainings, {} commits; {:.1f} s so far\n", options.seed,
               result.events, result.figures.trainings, result.figures.commits, took.count());
  }
  EXPECT_GT(ran, 0u);
}

}  // namespace
}  // namespace tanren::coordinator::simulation
