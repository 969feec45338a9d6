// A coordinator and an agent on this machine, kept running: what `tanren up` is.
#ifndef TANREN_COORDINATOR_CLIENT_LOCAL_CLUSTER_H_
#define TANREN_COORDINATOR_CLIENT_LOCAL_CLUSTER_H_

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/client/client.h"
#include "coordinator/client/supervised_program.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

struct LocalClusterOptions {
  std::filesystem::path folder;  // its state, logs and tokens; made if absent
  std::string listen;            // "127.0.0.1:0": a port that is free
  std::vector<std::string> agent_arguments;
};

// Used by one thread, which outlives it.
class LocalCluster {
 public:
  explicit LocalCluster(LocalClusterOptions options);
  ~LocalCluster();

  // The process that has one up in the folder; 0: none.
  static pid_t WhoIsUp(const std::filesystem::path& folder);

  // Returns once the coordinator answers and the agent has joined. kFailedPrecondition if one is up
  // there already; other errors hold what the failing program said.
  absl::Status Start();
  // Starts again what has ended. Returns what happened, a line each.
  std::vector<std::string> Look();
  // Lets what runs save and stop, at most half a minute, then ends the agent and the coordinator.
  // `hurry` is asked between: true leaves out what is left of the half minute.
  void End(const std::function<bool()>& hurry);

  // For people: what is up, and what to type.
  std::string Screen(bool detached) const;

 private:
  absl::Status TakeLock();
  absl::Status StartCoordinator();
  absl::Status StartAgent();
  absl::StatusOr<NodeUse> OwnNode();
  bool JobsRun();

  const LocalClusterOptions options_;
  int lock_ = -1;
  bool holds_ = false;
  SupervisedProgram coordinator_;
  SupervisedProgram agent_;
  std::string address_;
  std::unique_ptr<Client> client_;
  NodeUse node_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_LOCAL_CLUSTER_H_
