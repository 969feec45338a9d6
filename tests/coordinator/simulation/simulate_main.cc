// Runs simulations by hand.
//
// usage: simulate [--seed N] [--seeds COUNT] [--jobs N] [--nodes N] [--faults N] [--span SECONDS]
//                 [--only 1,5,7 | --no-faults] [--shrink] [--twice]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "fmt/core.h"
#include "tests/coordinator/simulation/simulation.h"

namespace {

using tanren::coordinator::simulation::SimulationOptions;
using tanren::coordinator::simulation::SimulationProgress;
using tanren::coordinator::simulation::SimulationResult;

void Print(const SimulationOptions& options, const SimulationResult& result, double seconds) {
  fmt::print("seed {}: {} in {:.2f} s; {:.0f} s simulated, {} happenings, trace {:016x}\n",
             options.seed, result.violation.has_value() ? "BROKEN" : "held", seconds,
             result.simulated_seconds, result.events, result.trace_hash);
  fmt::print(
      "  {} commits, {} events, {} reports, {} parts and {} trainings begun, {} starts of the "
      "coordinator, {} faults, {} comparisons with the store, {} pieces of logs with {} gaps\n",
      result.figures.commits, result.figures.events, result.figures.reports, result.figures.starts,
      result.figures.trainings, result.figures.coordinator_starts, result.figures.faults,
      result.figures.restores_compared, result.figures.log_pieces, result.figures.log_gaps);
  if (!result.violation.has_value()) return;
  fmt::print("\n{}\nfaults:\n", result.tail);
  for (const std::string& fault : result.faults) fmt::print("  {}\n", fault);
  fmt::print("\nbroken at {:.6f} s: {}\n  {}\nagain: {}\n",
             static_cast<double>(result.violation->at_us) / 1e6, result.violation->invariant,
             result.violation->what, CommandLine(options));
}

// A line on standard error every 10 s: where it is, how fast, and how long until faults are over.
// What follows depends on what is left to do.
class Progress {
 public:
  void operator()(const SimulationProgress& now) {
    const auto time = std::chrono::steady_clock::now();
    const std::chrono::duration<double> since = time - told_;
    if (since.count() < 10) return;
    const double rate = (now.simulated_s - told_at_s_) / since.count();
    const double left_s = std::max(now.of_s - now.simulated_s, 0.0);
    fmt::print(stderr,
               "{:.0f} of {:.0f} s simulated, {:.2f} a second, {}; {} million happenings, {} jobs "
               "to end\n",
               now.simulated_s, now.of_s, rate,
               left_s > 0 ? fmt::format("{:.0f} s left", left_s / rate) : "faults are over",
               now.events / 1'000'000, now.unfinished);
    told_ = time;
    told_at_s_ = now.simulated_s;
  }

 private:
  std::chrono::steady_clock::time_point told_ = std::chrono::steady_clock::now();
  double told_at_s_ = 0;
};

SimulationResult RunAndPrint(const SimulationOptions& options, bool quiet) {
  const auto begin = std::chrono::steady_clock::now();
  Progress progress;
  SimulationResult result = Simulate(options, std::ref(progress));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (!quiet || result.violation.has_value()) Print(options, result, took.count());
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  SimulationOptions options;
  int seeds = 1;
  int64_t span_s = options.span_ms / 1000;
  std::vector<int> only;
  bool no_faults = false;
  bool shrink = false;
  bool twice = false;
  bool keep_going = false;
  int tries = 400;
  CLI::App app("A cluster under a simulated clock, disk and network, from a seed");
  app.add_option("--seed", options.seed);
  app.add_option("--seeds", seeds, "how many, from --seed on");
  app.add_option("--jobs", options.jobs);
  app.add_option("--nodes", options.nodes);
  app.add_option("--faults", options.faults);
  app.add_option("--span", span_s, "seconds in which jobs come and things go wrong");
  app.add_option("--only", only, "numbers of the faults to keep")->delimiter(',');
  app.add_flag("--no-faults", no_faults);
  app.add_flag("--shrink", shrink, "look for the smallest simulation that still fails");
  app.add_option("--tries", tries, "runs that shrinking may take");
  app.add_flag("--twice", twice, "each seed twice: the traces must be equal");
  app.add_flag("--keep-going", keep_going, "after a seed that fails");
  CLI11_PARSE(app, argc, argv);
  options.span_ms = span_s * 1000;
  if (!only.empty() || no_faults) options.only_faults = only;

  int broken = 0;
  const uint64_t first = options.seed;
  for (options.seed = first; options.seed < first + static_cast<uint64_t>(seeds); ++options.seed) {
    const SimulationResult result = RunAndPrint(options, seeds > 1);
    if (twice && RunAndPrint(options, true).trace_hash != result.trace_hash) {
      fmt::print("seed {}: the same seed gave two traces\n", options.seed);
      ++broken;
    }
    if (!result.violation.has_value()) continue;
    ++broken;
    if (shrink) RunAndPrint(Shrink(options, tries), false);
    if (!keep_going) break;
  }
  if (seeds > 1) fmt::print("{} of at most {} seeds broken\n", broken, seeds);
  return broken == 0 ? 0 : 1;
}
