// Starts the parts of attempts as processes of this machine. Each part has a supervisor process of
// its own, which holds the part's whole state on disk and ends it when the lease has passed, so
// that an agent may die, be stopped or be replaced at any time:
//
//   agent (LocalLauncher) -- fork server --> supervisor of a part --> mpirun or the rank
//         \________________________________________/ one socket: stop, remote start; reports back
//
// On disk, below the state folder: parts/<epoch>.<job>.<attempt>/{spec.pb, state.pb, supervisor,
// control.sock, rank.sock, events.sock, logs/}, and the lease page.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_LAUNCHER_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_LAUNCHER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/launch/local/fork_server.h"
#include "coordinator/launch/log_spool.h"

namespace tanren::coordinator {

struct LocalLauncherOptions {
  std::filesystem::path state;  // the agent's state folder; made if absent
  std::string node;             // what placements call this machine
  // From StartForkServer().
  std::unique_ptr<ForkServer> fork_server;
  // The agent's program, for `remote-shell` and `rank`; empty: this one.
  std::filesystem::path program;
  // Empty: tanren-worker beside the program, or in PATH.
  std::filesystem::path worker;
  bool allow_root = false;  // jobs of root may run as root
  bool isolate = true;      // namespaces of its own for each part, where the kernel allows it
  int64_t log_limit_bytes = kDefaultLogLimitBytes;  // of each rank; the oldest go first
  size_t ended_parts_kept = 1'000;  // for their logs; fewer when the disk is nearly full
  // mpirun on this machine wants a daemon on another node: the coordinator passes it on, and
  // OnRemoteEnd brings the answer. Called from any thread.
  std::function<void(const RemoteStart&)> on_remote_start;
};

// A part that ends leaves its record in state.pb by a rename, without waiting for the disk: after a
// machine's crash a part may count as ended without a record, never as alive.
class LocalLauncher final : public Launcher {
 public:
  // Takes the state folder (kFailedPrecondition if another agent holds it) and what runs in it.
  static absl::StatusOr<std::unique_ptr<LocalLauncher>> Open(LocalLauncherOptions options);
  // Leaves all parts as they are.
  ~LocalLauncher() override;

  void Start(const PartSpec& part) override;
  void Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms) override;
  void Forget(const AttemptToken& token) override;
  std::vector<PartReport> Parts() override;
  void SetDeadline(int64_t steady_ms) override;
  int64_t Deadline() const override;
  absl::StatusOr<LogChunk> ReadLog(const ReadLogChunk& request) override;
  absl::Status StartRemote(const RemoteStart& request,
                           std::function<void(const RemoteEnd&)> ended) override;
  void OnChange(std::function<void()> changed) override;

  // The answer to a RemoteStart that went out through on_remote_start. Any thread.
  void OnRemoteEnd(const RemoteEnd& end);

 private:
  class Implementation;
  explicit LocalLauncher(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_LAUNCHER_H_
