// The process that supervisors are forked from: made while the agent is still small and has one
// thread, so that a fork is cheap and safe, and no part inherits gRPC's descriptors or locks.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_FORK_SERVER_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_FORK_SERVER_H_

#include <sys/types.h>

#include <filesystem>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// The agent's end of it. The server ends when this is closed: with the agent, or when the agent
// becomes a new version of itself by exec. Supervisors go on.
class ForkServer {
 public:
  explicit ForkServer(Descriptor socket, pid_t process = 0)
      : socket_(std::move(socket)), process_(process) {}

  pid_t process() const { return process_; }

  // Has a supervisor forked for the part in `folder`, which holds its spec. `control` is the
  // supervisor's end of a connection: it closes if no supervisor comes of it. kUnavailable if the
  // server is gone.
  absl::Status StartSupervisor(const std::filesystem::path& folder, Descriptor control);

 private:
  Descriptor socket_;
  pid_t process_;
};

// To be called first in main, before any thread and before gRPC.
absl::StatusOr<ForkServer> StartForkServer();

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_FORK_SERVER_H_
