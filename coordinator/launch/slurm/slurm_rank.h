// What mpirun starts in a batch job, for each rank.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RANK_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RANK_H_

#include <filesystem>
#include <string>

namespace tanren::coordinator {

// Starts the keeper of this node's next rank of `role` (slurm_keeper.h) in a session of its own,
// passes it SIGUSR1, SIGTERM and SIGINT, and returns the rank's exit code, 128 + n for signal n.
// mpirun, Slurm or the kernel may kill this process: the keeper stays until nothing of the rank
// lives. So it does where the parent of this process ends, which then returns at once.
int RunSlurmRank(const std::filesystem::path& folder, const std::string& role);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RANK_H_
