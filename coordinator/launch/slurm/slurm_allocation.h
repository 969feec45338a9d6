// How the tasks of an allocation are spread over its nodes, and which of them a role gets.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ALLOCATION_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ALLOCATION_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tanren::coordinator {

// SLURM_TASKS_PER_NODE, "2(x3),1" -> 2, 2, 2, 1.
absl::StatusOr<std::vector<int32_t>> ParseTasksPerNode(absl::string_view text);

// SLURM_JOB_NODELIST, "t[1-2,7],login" -> t1, t2, t7, login, with leading zeros kept.
absl::StatusOr<std::vector<std::string>> ParseNodeList(absl::string_view text);

using NodeTasks = std::pair<std::string, int32_t>;
absl::StatusOr<std::vector<NodeTasks>> ParseAllocation(absl::string_view nodes,
                                                       absl::string_view tasks_per_node);

// The tasks first … first + count − 1 of the allocation, as mpirun's --host wants them:
// "t1:2,t2:1". kFailedPrecondition if the allocation has fewer.
absl::StatusOr<std::string> HostsOf(const std::vector<NodeTasks>& allocation, int32_t first,
                                    int32_t count);

// How many of these tasks are on `node`.
int32_t TasksOn(const std::vector<NodeTasks>& allocation, const std::string& node, int32_t first,
                int32_t count);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ALLOCATION_H_
