// What the processes of a batch job are given: the rank's program, and environments that are made
// from nothing, so that neither the node's login files nor Slurm's own variables change a run.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ENVIRONMENT_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ENVIRONMENT_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "proto/slurm.pb.h"

namespace tanren::coordinator {

using Environment = std::map<std::string, std::string>;

// This process's own.
Environment CurrentEnvironment();
std::vector<std::string> EnvironmentStrings(const Environment& environment);

// Whether a variable configures MPI itself: mpirun passes these on to its ranks.
bool IsMpiSetting(const std::string& name);

// For mpirun: from the batch job's environment what it takes to find Slurm's allocation, and the
// cluster's settings of MPI. None of the user's, so that they show in no command line.
Environment SlurmMpirunEnvironment(const SlurmTask& task, const Environment& batch);

// For a rank of the role: what the job names, where its MPI and its GPUs are, and ours.
Environment SlurmRankEnvironment(const SlurmTask& task, const std::string& role,
                                 const Environment& current);

// A recipe's copy that the worker is given: <job folder>/attempt-<n>.yaml.
std::filesystem::path RecipeFile(const PartSpec& part);
std::vector<std::string> SlurmRankProgram(const SlurmTask& task);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ENVIRONMENT_H_
