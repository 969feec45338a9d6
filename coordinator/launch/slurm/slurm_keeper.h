// The parent of a rank in a batch job, out of mpirun's reach.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_KEEPER_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_KEEPER_H_

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// How long what a rank has left behind is waited for, once it is killed: what the kernel doesn't
// let go of is left to Slurm.
inline constexpr int64_t kOrphansMs = 5'000;

// What is passed on to a rank, and SIGCHLD: to be blocked, and waited for instead of handled.
sigset_t SignalsForRanks();

// Runs this node's next rank of `role` with its program, environment and log from the attempt's
// folder, ends what it leaves behind, and leaves a record of how it ended. Passes SIGUSR1 and, once
// more before it kills, SIGTERM and SIGINT on. `front` is a pipe that another process has the other
// end of: once that has ended, everything is killed. Returns the rank's exit code, 128 + n for
// signal n. For a process that has no other children and no threads.
int KeepSlurmRank(const std::filesystem::path& folder, const std::string& role, Descriptor front);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_KEEPER_H_
