#include "tests/coordinator/simulation/faults.h"

#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "tests/coordinator/simulation/dice.h"

namespace tanren::coordinator::simulation {
namespace {

struct Kind {
  const char* name;
  int weight;  // how often it is drawn
  int64_t shortest_ms;
  int64_t longest_ms;
  bool of_nodes;
};

constexpr std::array<Kind, static_cast<size_t>(FaultKind::kCount)> kKinds = {{
    {"coordinator-crash", 6, 200, 20'000, false},
    {"coordinator-crash-at-event", 14, 200, 8'000, false},
    {"write-fails", 4, 200, 5'000, false},
    {"slow-disk", 2, 1'000, 15'000, false},
    {"wall-jump", 2, 0, 0, false},
    {"restore-backup", 2, 200, 20'000, false},
    {"coordinator-pause", 3, 500, 30'000, false},
    {"agent-crash", 6, 100, 20'000, true},
    {"agent-crash-at-action", 8, 100, 20'000, true},
    {"agent-pause", 6, 500, 30'000, true},
    {"machine-crash", 5, 1'000, 40'000, true},
    {"machine-replaced", 3, 1'000, 40'000, true},
    {"folder-lost", 3, 100, 5'000, true},
    {"stream-break", 6, 0, 0, true},
    {"partition", 8, 500, 40'000, true},
    {"partition-up", 5, 500, 40'000, true},
    {"partition-down", 5, 500, 40'000, true},
    {"flapping", 4, 5'000, 30'000, true},
    {"bad-network", 5, 2'000, 30'000, false},
    {"remove-node", 2, 0, 0, true},
    {"drain", 2, 5'000, 60'000, true},
    {"machine-suspended", 5, 500, 60'000, true},
    {"second-coordinator", 2, 0, 0, false},
    // So long that all streams to it have been given up.
    {"coordinator-taken-over", 3, 13'000, 60'000, false},
}};

}  // namespace

std::vector<Fault> MakeFaults(uint64_t seed, int count, int64_t span_ms, int nodes) {
  int weights = 0;
  for (const Kind& kind : kKinds) weights += kind.weight;
  // Some seeds have nothing but one kind or two, so that each is met in quiet surroundings too.
  Dice all(seed, Purpose::kFaults, 0);
  const bool narrow = all.Chance(0.3);
  const std::array<int64_t, 2> only = {all.Between(0, weights - 1), all.Between(0, weights - 1)};
  std::vector<Fault> faults;
  for (int i = 0; i < count; ++i) {
    Dice dice(seed, Purpose::kFaults, static_cast<uint32_t>(i + 1));
    int64_t draw =
        narrow ? only[static_cast<size_t>(dice.Between(0, 1))] : dice.Between(0, weights - 1);
    size_t kind = 0;
    while (draw >= kKinds[kind].weight) draw -= kKinds[kind++].weight;
    Fault fault;
    fault.kind = static_cast<FaultKind>(kind);
    fault.at_ms = dice.Between(0, span_ms);
    // Short ones are as likely as long ones.
    const double share = dice.Uniform() * dice.Uniform();
    fault.for_ms = kKinds[kind].shortest_ms +
                   static_cast<int64_t>(share * static_cast<double>(kKinds[kind].longest_ms -
                                                                    kKinds[kind].shortest_ms));
    if (kKinds[kind].of_nodes) {
      fault.node = static_cast<int>(dice.Between(0, nodes - 1));
      const int many = std::max(1, nodes / 3);
      fault.nodes = dice.Chance(0.3) ? static_cast<int>(dice.Between(1, many)) : 1;
    }
    fault.detail = dice.Between(0, 1'000'000);
    faults.push_back(fault);
  }
  std::stable_sort(faults.begin(), faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at_ms < b.at_ms; });
  return faults;
}

std::string FaultText(const Fault& fault) {
  const Kind& kind = kKinds[static_cast<size_t>(fault.kind)];
  std::string text = fmt::format("{:8.3f}s {}", static_cast<double>(fault.at_ms) / 1e3, kind.name);
  if (kind.of_nodes) text += fmt::format(" n{}", fault.node);
  if (fault.nodes > 1) text += fmt::format(" and {} after it", fault.nodes - 1);
  if (fault.for_ms > 0)
    text += fmt::format(" for {:.1f}s", static_cast<double>(fault.for_ms) / 1e3);
  return text + fmt::format(" ({})", fault.detail);
}

}  // namespace tanren::coordinator::simulation
