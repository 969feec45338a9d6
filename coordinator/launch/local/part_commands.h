// What is to run for a part, as pure functions of its spec: worker groups, their arguments, and the
// whole environment of their processes.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_PART_COMMANDS_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_PART_COMMANDS_H_

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/launch/account.h"
#include "proto/launch.pb.h"

namespace tanren::coordinator {

// The ranks of one role, on all its nodes: what one mpirun starts.
struct WorkerGroup {
  std::string role;
  int ranks = 0;                      // in total
  std::vector<Placement> placements;  // by first rank
  int ranks_here = 0;
  std::vector<int> gpus_here;
};

// Where an attempt's things are. Of a job without a folder all are empty.
struct JobFolders {
  std::filesystem::path job;      // <spec.folder>/job-<id>
  std::filesystem::path attempt;  // <job>/attempt-<n>
  std::filesystem::path recipe;   // <job>/attempt-<n>.yaml; empty for a command
  std::filesystem::path latest;   // <job>/latest, a link
};

// kInvalidArgument if placements and roles don't fit, or a name could leave its folder.
absl::StatusOr<std::vector<WorkerGroup>> GroupsOf(const SupervisorSpec& spec);

// Whether this node starts the groups.
bool IsHead(const SupervisorSpec& spec);

JobFolders FoldersOf(const PartSpec& part);

// The program of each rank and its arguments.
std::vector<std::string> RankArguments(const SupervisorSpec& spec);

// NAME=value, sorted: PATH, HOME, USER, LANG, TMPDIR, our own names, and what the job's spec names,
// which can't replace ours. Nothing comes from the agent's own environment.
std::vector<std::string> RankEnvironment(const SupervisorSpec& spec, const WorkerGroup& group,
                                         const Account& account,
                                         const std::filesystem::path& part_folder);

// Of mpirun or one of its daemons: no variable of the job's, so that its remote shell and its other
// nodes see none of them.
std::vector<std::string> LauncherEnvironment(const Account& account,
                                             const std::filesystem::path& part_folder);

// mpirun and its arguments for the group. Its other nodes are called by addresses that no machine
// has (HostName), which the remote shell turns back into nodes.
std::vector<std::string> MpirunArguments(const SupervisorSpec& spec, const WorkerGroup& group,
                                         const std::string& own_host_name);

// "240.0.0.<n>" for the n-th placement of the spec, from 1: taken for no host of its own by mpirun,
// looked up nowhere. And back: the node; kNotFound.
std::string MpirunHost(int placement);
absl::StatusOr<std::string> NodeOfMpirunHost(const PartSpec& part, const std::string& host);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_PART_COMMANDS_H_
