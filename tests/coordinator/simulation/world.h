// What all parts of a simulation share: time, the trace, what was broken, and what truly lives.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_WORLD_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_WORLD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/agent/agent_core.h"
#include "coordinator/state/core.h"
#include "tests/coordinator/simulation/dice.h"
#include "tests/coordinator/simulation/disk.h"
#include "tests/coordinator/simulation/event_queue.h"
#include "tests/coordinator/simulation/trace.h"
#include "tests/coordinator/simulation/workload.h"

namespace tanren::coordinator::simulation {

class Coordinator;
class Evidence;
class Followers;
class Gangs;
class HistoryChecker;
class Machine;
class Network;

struct Violation {
  std::string invariant;
  std::string what;
  int64_t at_us = 0;
  uint64_t job = 0;
};

struct Figures {
  uint64_t commits = 0;
  uint64_t events = 0;
  uint64_t reports = 0;
  uint64_t starts = 0;  // of parts, by process evidence
  uint64_t trainings = 0;
  uint64_t coordinator_starts = 0;
  uint64_t restores_compared = 0;
  uint64_t faults = 0;
  uint64_t log_pieces = 0;  // that followers were given
  uint64_t log_gaps = 0;    // of them, that declared one
};

struct World {
  World();
  ~World();

  uint64_t seed = 0;
  CoreOptions core_options;
  AgentOptions agent_options;
  Workload workload;

  EventQueue queue;
  Trace trace;
  Figures figures;
  std::optional<Violation> violation;  // the first
  bool calm = false;                   // faults are over

  Histories histories;
  std::unique_ptr<Evidence> evidence;
  std::unique_ptr<HistoryChecker> history;
  std::unique_ptr<Network> network;
  std::unique_ptr<Gangs> gangs;
  std::unique_ptr<Followers> followers;
  std::vector<std::unique_ptr<Machine>> machines;
  std::unique_ptr<Coordinator> coordinator;          // whose history counts
  std::vector<std::unique_ptr<Coordinator>> former;  // which it took over from, and may come back
  uint64_t next_stream = 1;

  int64_t now_us() const { return queue.now_us(); }
  // That a stream leads to which a node opens where `epoch` has been obeyed: now and then a former
  // one that answers still, but only if the node can know that another has taken over.
  Coordinator& CoordinatorFor(uint64_t epoch, Dice& dice);
  void Violate(std::string invariant, std::string what, uint64_t job = 0);
  // Of "n12".
  static int NodeIndex(const std::string& name) { return std::stoi(name.substr(1)); }
  static std::string NodeName(int index) { return "n" + std::to_string(index); }
};

// A machine's steady clock: from an own origin, a little fast or slow.
class SteadyClock {
 public:
  SteadyClock(int64_t origin_ms, int64_t drift_ppm) : origin_ms_(origin_ms), drift_(drift_ppm) {}
  int64_t Ms(int64_t now_us) const {
    return origin_ms_ + (now_us - booted_us_ + (now_us - booted_us_) * drift_ / 1'000'000) / 1000;
  }
  // The first microsecond at which Ms() is `ms` or more.
  int64_t WhenUs(int64_t ms) const {
    const int64_t elapsed = (ms - origin_ms_) * 1000;
    return booted_us_ + elapsed - elapsed * drift_ / (1'000'000 + drift_) + 2;
  }
  // Counts from nothing again.
  void Reboot(int64_t now_us) {
    booted_us_ = now_us;
    origin_ms_ = 1'000;
  }

 private:
  int64_t origin_ms_;
  int64_t drift_;
  int64_t booted_us_ = 0;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_WORLD_H_
