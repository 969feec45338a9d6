// This machine as the coordinator is told of it.
#ifndef TANREN_COORDINATOR_AGENT_MACHINE_NODE_H_
#define TANREN_COORDINATOR_AGENT_MACHINE_NODE_H_

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/job.pb.h"
#include "runtime/base/machine.h"

namespace tanren::coordinator {

// What the command line says instead of what is found.
struct NodeOptions {
  std::string name;     // empty: the host's, up to the first dot
  std::string address;  // empty: that of the interface by which the coordinator is reached
  std::string rack;
  std::vector<std::string> labels;  // NAME=VALUE
  double cpus = -1;                 // -1: what is found
  int64_t memory_bytes = -1;
  int gpus = -1;  // so many of those that are found; more than these are made up, for tests
  std::string launcher = "local";
};

// kInvalidArgument says which option, what was found and what was expected.
absl::StatusOr<Node> NodeOf(const Machine& machine, const NodeOptions& options,
                            const std::string& coordinator);

// The GPUs that CUDA_VISIBLE_DEVICES leaves: those of its list of numbers; all where it is empty or
// something else.
std::vector<int> VisibleGpus(const std::string& visible, int count);

// This machine's address on the way to `coordinator` ("host:port"); 127.0.0.1 where that is this
// machine or can't be found.
std::string AddressTowards(const std::string& coordinator);

// What tells one start of a state folder from another: made when it isn't there.
absl::StatusOr<std::string> Incarnation(const std::filesystem::path& state);

// What proves to the coordinator that this is the agent which claimed the node's name: 256 random
// bits in <state>/node.key, mode 0600, made when they aren't there. kPermissionDenied if others may
// read them.
absl::StatusOr<std::string> NodeKey(const std::filesystem::path& state);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_MACHINE_NODE_H_
