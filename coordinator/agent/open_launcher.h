// The launcher that an agent was asked for.
#ifndef TANREN_COORDINATOR_AGENT_OPEN_LAUNCHER_H_
#define TANREN_COORDINATOR_AGENT_OPEN_LAUNCHER_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/agent/outbox.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/launch/local/fork_server.h"

namespace tanren::coordinator {

struct OpenLauncherOptions {
  std::string kind;  // "local" or "slurm"
  std::filesystem::path state;
  std::string node;
  std::filesystem::path worker;
  bool allow_root = false;
  bool shared_account = false;  // as of SlurmLauncherOptions
  bool isolate = true;
};

struct OpenedLauncher {
  std::unique_ptr<Launcher> launcher;
  // Takes the answers to what went out through the outbox.
  std::function<void(const RemoteEnd&)> remote_end;
};

// Takes the state folder and what runs. What mpirun on this machine wants of others is put into
// `outbox`.
absl::StatusOr<OpenedLauncher> OpenLauncher(const OpenLauncherOptions& options,
                                            ForkServer fork_server,
                                            const std::shared_ptr<Outbox>& outbox);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_OPEN_LAUNCHER_H_
