// A cluster for some minutes, from a seed: users, machines, network, disk and coordinator, and what
// goes wrong with them. The core, the scheduler and the agents' decisions are the real ones.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_SIMULATION_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/coordinator/simulation/faults.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

struct SimulationOptions {
  uint64_t seed = 1;
  int jobs = 50;
  int nodes = 8;
  int faults = 30;
  int64_t span_ms = 180'000;  // in which jobs are submitted and things go wrong
  // Of the faults that the seed makes, by number, only these; nullopt: all.
  std::optional<std::vector<int>> only_faults;
};

struct SimulationResult {
  std::optional<Violation> violation;
  uint64_t trace_hash = 0;
  double simulated_seconds = 0;
  uint64_t events = 0;  // of the simulation
  Figures figures;
  std::vector<std::string> faults;  // for people, with their numbers
  std::string tail;                 // what happened last, if there was a violation
};

// How far a simulation is: `simulated_s` of about `of_s`, which is where its faults are over.
struct SimulationProgress {
  double simulated_s = 0;
  double of_s = 0;
  uint64_t events = 0;
  int unfinished = 0;  // jobs
};

// `tell` is called after each simulated second.
SimulationResult Simulate(const SimulationOptions& options,
                          const std::function<void(const SimulationProgress&)>& tell = nullptr);

// The smallest simulation found that still breaks something: fewer faults, jobs and nodes. At most
// `tries` runs.
SimulationOptions Shrink(const SimulationOptions& failing, int tries);

// Command-line arguments of `simulate` that run this again.
std::string CommandLine(const SimulationOptions& options);

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_SIMULATION_H_
