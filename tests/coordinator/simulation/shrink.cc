#include <algorithm>
#include <numeric>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "tests/coordinator/simulation/simulation.h"

namespace tanren::coordinator::simulation {
namespace {

class Shrinker {
 public:
  Shrinker(SimulationOptions failing, int tries) : best_(std::move(failing)), tries_(tries) {
    if (!best_.only_faults.has_value()) {
      best_.only_faults.emplace(static_cast<size_t>(best_.faults));
      std::iota(best_.only_faults->begin(), best_.only_faults->end(), 0);
    }
  }

  SimulationOptions Run() {
    bool smaller = true;
    while (smaller && tries_ > 0) {
      smaller = false;
      smaller |= FewerFaults();
      smaller |= Fewer(&SimulationOptions::jobs);
      smaller |= Fewer(&SimulationOptions::nodes);
    }
    return best_;
  }

 private:
  bool Fails(const SimulationOptions& options) {
    if (tries_-- <= 0 || !Simulate(options).violation.has_value()) return false;
    best_ = options;
    return true;
  }

  // Leaves out halves, quarters, … of the list.
  bool FewerFaults() {
    bool smaller = false;
    for (size_t piece = best_.only_faults->size() / 2 + best_.only_faults->size() % 2; piece > 0;
         piece = piece == 1 ? 0 : (piece + 1) / 2) {
      for (size_t begin = 0; begin < best_.only_faults->size() && tries_ > 0;) {
        SimulationOptions fewer = best_;
        const auto first = fewer.only_faults->begin() + static_cast<std::ptrdiff_t>(begin);
        const size_t count = std::min(piece, fewer.only_faults->size() - begin);
        fewer.only_faults->erase(first, first + static_cast<std::ptrdiff_t>(count));
        if (Fails(fewer)) {
          smaller = true;
        } else {
          begin += piece;
        }
      }
    }
    return smaller;
  }

  bool Fewer(int SimulationOptions::*count) {
    bool smaller = false;
    for (int cut = best_.*count / 2; cut > 0 && tries_ > 0; cut /= 2) {
      while (best_.*count > cut) {
        SimulationOptions fewer = best_;
        fewer.*count -= cut;
        if (!Fails(fewer)) break;
        smaller = true;
      }
    }
    return smaller;
  }

  SimulationOptions best_;
  int tries_;
};

}  // namespace

SimulationOptions Shrink(const SimulationOptions& failing, int tries) {
  return Shrinker(failing, tries).Run();
}

std::string CommandLine(const SimulationOptions& options) {
  std::string text =
      fmt::format("simulate --seed {} --jobs {} --nodes {} --faults {} --span {}", options.seed,
                  options.jobs, options.nodes, options.faults, options.span_ms / 1000);
  if (options.only_faults.has_value()) {
    text += options.only_faults->empty()
                ? " --no-faults"
                : fmt::format(" --only {}", fmt::join(*options.only_faults, ","));
  }
  return text;
}

}  // namespace tanren::coordinator::simulation
