// What stands on a coordinator's disk, whichever process opens it, and what became of histories.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_DISK_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_DISK_H_

#include <cstdint>
#include <optional>

#include "coordinator/store/memory_store.h"

namespace tanren::coordinator::simulation {

struct Disk {
  MemoryStore store;
  bool is_locked = false;  // by a process that lives, be it that it stands still
  uint64_t observed = 0;   // the last event that the checker has seen
};

// Of all disks together.
struct Histories {
  std::optional<MemoryImage> backup;
  // How often a copy of the past took the place of a history: what was answered since is void.
  uint64_t restores = 0;
  uint64_t highest_epoch = 0;
  uint64_t highest_job = 0;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_DISK_H_
