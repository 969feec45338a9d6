// What keeps a part's processes together: a PID and a mount namespace, where everything ends with
// the first process, and /tmp and /dev/shm are the part's own. Where the kernel allows none,
// orphans become children of the supervisor instead, which finds them there.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_SANDBOX_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_SANDBOX_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/launch/local/lease_page.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

struct SandboxOptions {
  bool isolate = true;
  // Paths that processes will want: where one lies in /tmp or /dev/shm, what is at the first level
  // there stays visible.
  std::vector<std::string> visible;
};

// Tries, in a process of its own, whether this one could isolate a part: why not, or nothing.
std::string WhyNotIsolated(const LeasePage& lease);

// For a process with one thread, which is the parent of all that it starts here.
class Sandbox {
 public:
  // Without isolation where that fails: see degraded(). (Not for a user without privileges: once
  // begun, it can't go back, so WhyNotIsolated() is asked first.)
  // `lease` outlives this: the first process of the namespace ends everything too, if its
  // supervisor is stopped when the deadline passes.
  static absl::StatusOr<Sandbox> Make(const SandboxOptions& options, const LeasePage& lease);

  // A process in the sandbox that runs `body` and exits with what it returns. It has a session of
  // its own, default signals, and ends if the supervisor does.
  absl::StatusOr<pid_t> Fork(const std::function<int()>& body);

  // Ends everything in it and waits for that. Nothing can be started afterwards.
  void KillAll();

  // All processes in it, by their ids for this process.
  std::vector<pid_t> Processes() const;

  // The first process of the namespace; 0: there is none.
  pid_t first() const { return first_; }
  bool is_isolated() const { return first_ > 0; }
  // Why not; empty if it is or wasn't asked for.
  const std::string& degraded() const { return degraded_; }

 private:
  friend std::string WhyNotIsolated(const LeasePage& lease);
  Sandbox() = default;
  absl::Status Isolate(const SandboxOptions& options, const LeasePage& lease);

  pid_t first_ = 0;
  Descriptor mounts_;      // the mount namespace
  Descriptor first_ends_;  // closed with this process: the first process of the namespace ends
  std::string degraded_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_SANDBOX_H_
