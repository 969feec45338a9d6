// What a job asks for, in sbatch's words.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_REQUEST_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_REQUEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

struct SlurmRequestOptions {
  // The nice value of a job of priority 0; a priority of n is n less. Slurm lets only its operators
  // go below 0, so others' higher priorities stay at 0 unless this leaves room for them.
  int32_t nice_of_priority_0 = 0;
  bool may_go_below_0 = false;
  // So long before Slurm's time limit the ranks are asked to save and exit.
  int32_t save_before_limit_s = 120;
};

// kInvalidArgument names the key or field: unknown (and the nearest), or a value that sbatch can't
// be given. `CheckSlurmSpec` is what a submission can be checked with.
absl::Status CheckSlurmSpec(const JobSpec& spec);

// One name for all attempts that share a job folder, so that Slurm's "singleton" lets one of them
// run at a time: "tanren-<job>-<8 hexadecimal digits of the folder's path>".
std::string SlurmJobName(const PartSpec& part);
// What tells the attempts apart: the token, as Slurm's comment.
std::string SlurmComment(const AttemptToken& token);

// sbatch's options for the part's attempt, without the script. What it writes goes nowhere.
absl::StatusOr<std::vector<std::string>> SbatchOptions(const PartSpec& part,
                                                       const SlurmRequestOptions& options);

int32_t TotalRanks(const JobSpec& spec);

// GPUs that each task gets of Slurm: the most that a role asks for. 0 where the job's own "gres"
// names GPUs, which Slurm then gives to each node.
int32_t GpusPerTask(const JobSpec& spec);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_REQUEST_H_
