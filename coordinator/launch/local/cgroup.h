// Limits of CPU time and memory for a part, by the kernel's control groups, version 2.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_CGROUP_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_CGROUP_H_

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// This process's own group, if it may limit others in it: `own` (this process and those that serve
// it) moves to a leaf of it, since a group that limits others holds no process itself.
// kUnavailable, with the reason, where there is no version 2, no controller for both, or no right.
absl::StatusOr<std::filesystem::path> LimitingCgroup(const std::vector<pid_t>& own);

// <parent>/<name> with the limits; 0 is none.
absl::StatusOr<std::filesystem::path> MakeCgroup(const std::filesystem::path& parent,
                                                 const std::string& name, const Resources& limits);

// The process, and what it will start.
absl::Status EnterCgroup(const std::filesystem::path& cgroup, pid_t process);

// Once nothing lives in it.
void RemoveCgroup(const std::filesystem::path& cgroup);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_CGROUP_H_
