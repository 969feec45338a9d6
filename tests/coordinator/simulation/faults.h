// What goes wrong in a simulation, and when: made from the seed before it begins, so that a fault
// can be left out without changing the others.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_FAULTS_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_FAULTS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tanren::coordinator::simulation {

enum class FaultKind {
  kCoordinatorCrash,         // now; a write under way lands or doesn't (detail)
  kCoordinatorCrashAtEvent,  // at the next commit with an event of that kind, in some phase
  kWriteFails,               // the next write: StoreFault in detail
  kSlowDisk,
  kWallJump,          // detail: milliseconds, either way
  kRestoreBackup,     // the coordinator dies and its store is replaced by a copy of the past
  kCoordinatorPause,  // SIGSTOP
  kAgentCrash,
  kAgentCrashAtAction,  // in the midst of what it does next
  kAgentPause,          // SIGSTOP
  kMachineCrash,        // and boots again with its disk
  kMachineReplaced,     // comes back with an empty disk
  kFolderLost,          // the agent dies, its state folder goes, its processes live on
  kStreamBreak,
  kPartition,      // both ways
  kPartitionUp,    // what nodes say is lost
  kPartitionDown,  // what nodes are told is lost
  kFlapping,
  kBadNetwork,         // loss, duplication, reordering and delay, everywhere
  kRemoveNode,         // by an administrator, who may be wrong
  kDrain,              // an administrator drains a node (detail odd: evicting what runs there)
  kMachineSuspended,   // as a whole; clocks go on
  kSecondCoordinator,  // is started on the same store
  // The coordinator stands still, and another takes over with a backup (detail odd) or a copy of
  // its store. Then the first one comes back.
  kCoordinatorTakenOver,
  kCount,
};

struct Fault {
  FaultKind kind = FaultKind::kCount;
  int64_t at_ms = 0;
  int64_t for_ms = 0;
  int node = 0;   // the first, modulo the number there are
  int nodes = 1;  // that it meets, in order
  int64_t detail = 0;
};

// `count` faults within `span_ms`, by time.
std::vector<Fault> MakeFaults(uint64_t seed, int count, int64_t span_ms, int nodes);
std::string FaultText(const Fault& fault);

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_FAULTS_H_
