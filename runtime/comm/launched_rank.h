// Which rank this process is where no MPI says it: under torchrun-like launchers, and under srun.
#ifndef TANREN_RUNTIME_COMM_LAUNCHED_RANK_H_
#define TANREN_RUNTIME_COMM_LAUNCHED_RANK_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tanren::comm {

struct LaunchedRank {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // among those of this host
  // Where rank 0 listens (tcp_meeting.h), and what tells this launch from another there.
  std::string host;
  int port = 0;
  std::string job;
};

// Looks a variable up; null or "" if it isn't there. std::getenv in earnest.
using Environment = std::function<const char*(const char* name)>;

// From RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, else from Slurm's variables in a
// task of srun (the meeting point is then the first host of the step, where rank 0 runs with
// Slurm's usual distribution, and a port made of the job's number). Nothing if neither is there;
// kInvalidArgument, naming the variable, if one is missing or makes no sense.
absl::StatusOr<std::optional<LaunchedRank>> RankFromEnvironment(const Environment& environment);

// This rank's number among all, as mpirun, srun or torchrun say it before the ranks have met; 0 if
// none does.
int GlobalRank(const Environment& environment);

// This rank's number among those of its host, as mpirun, srun or torchrun say it; 0 if none does.
int LocalRank(const Environment& environment);

// The first host of a Slurm list: "node[03-07,9],b" gives "node03". kInvalidArgument if it is none.
absl::StatusOr<std::string> FirstSlurmHost(std::string_view list);

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_LAUNCHED_RANK_H_
