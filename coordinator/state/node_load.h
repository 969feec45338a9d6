// What attempts take of nodes, and the other indices of a cluster.
#ifndef TANREN_COORDINATOR_STATE_NODE_LOAD_H_
#define TANREN_COORDINATOR_STATE_NODE_LOAD_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/state/cluster.h"

namespace tanren::coordinator {

// The load of an idle node. One that stands for a whole Slurm cluster has nothing to count: what
// is free there is Slurm's to say.
NodeLoad IdleLoad(const Node& node);

// kInternal where the attempt doesn't fit on what is free: an unknown node or GPU, one that is
// taken, too little memory or too few cores.
absl::Status CheckFits(const Attempt& attempt, const Cluster& cluster);

// Takes and gives back what the job's attempt has on `node`.
void TakeLoad(const Job& job, const std::string& node, Cluster& cluster);
void GiveBackLoad(const Job& job, const std::string& node, Cluster& cluster);
// Counts the node's load anew from the jobs that are named there: its hardware has changed.
void RecountLoad(const std::string& node, Cluster& cluster);

// Adds the job to the indices that follow from its state, or takes it out.
void AddToIndices(const Job& job, Cluster& cluster);
void RemoveFromIndices(const Job& job, Cluster& cluster);

inline constexpr std::string_view kUserPrefix = "user/";
inline constexpr std::string_view kProjectPrefix = "project/";
// "user/alice", and "project/vision" where the job has one.
std::vector<std::string> SubjectsOf(const Job& job);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_NODE_LOAD_H_
