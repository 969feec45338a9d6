// What stands between mpirun and a rank in a batch job.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RANK_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RANK_H_

#include <filesystem>
#include <string>

namespace tanren::coordinator {

// Becomes the parent of this node's next rank of `role`: gives it its program, environment and log
// from the attempt's folder, passes SIGUSR1, SIGTERM and SIGINT on, and leaves a record of how it
// ended. Returns the rank's exit code, 128 + n for signal n. The rank dies with this process.
int RunSlurmRank(const std::filesystem::path& folder, const std::string& role);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RANK_H_
