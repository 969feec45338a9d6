// The supervisor of an attempt within Slurm: what the batch script becomes, on the first node of
// the allocation.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_BATCH_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_BATCH_H_

#include <filesystem>
#include <optional>

namespace tanren::coordinator {

// Claims the attempt of `folder` (slurm_folder.h), or does nothing where it was claimed before;
// waits until no other attempt of the job lives; runs its ranks, by mpirun where there are several;
// and leaves the record of its end once no process of it lives. SIGUSR1 (Slurm's before a time
// limit, or the agent's) has the ranks save and exit; SIGTERM ends them.
//
// Returns the exit code of the run: 0, 75 (saved), or that of the rank that failed.
int RunSlurmBatch(const std::filesystem::path& folder);

// The program's part in batch jobs: runs `slurm-batch FOLDER` or `slurm-rank FOLDER ROLE` if argv
// says so, and returns the exit code. To be called before there are threads.
std::optional<int> RunSlurmCommand(int argc, char** argv);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_BATCH_H_
