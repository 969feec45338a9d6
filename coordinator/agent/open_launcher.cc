#include "coordinator/agent/open_launcher.h"

#include <utility>

#include "coordinator/launch/local/local_launcher.h"
#include "coordinator/launch/slurm/slurm_launcher.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

absl::StatusOr<OpenedLauncher> OpenSlurm(const OpenLauncherOptions& options) {
  SlurmLauncherOptions slurm;
  slurm.state = options.state;
  slurm.worker = options.worker;
  slurm.allow_root = options.allow_root;
  slurm.shared_account = options.shared_account;
  OpenedLauncher opened;
  TANREN_ASSIGN_OR_RETURN(opened.launcher, SlurmLauncher::Open(std::move(slurm)));
  // mpirun finds its nodes through Slurm: nothing is asked of other agents.
  opened.remote_end = [](const RemoteEnd&) {};
  return opened;
}

absl::StatusOr<OpenedLauncher> OpenLocal(const OpenLauncherOptions& options, ForkServer fork_server,
                                         const std::shared_ptr<Outbox>& outbox) {
  LocalLauncherOptions local;
  local.state = options.state;
  local.node = options.node;
  local.fork_server = std::make_unique<ForkServer>(std::move(fork_server));
  local.worker = options.worker;
  local.allow_root = options.allow_root;
  local.isolate = options.isolate;
  local.on_remote_start = [outbox, node = options.node](const RemoteStart& request) {
    AgentMessage message;
    *message.mutable_remote_start() = request;
    message.mutable_remote_start()->set_from(node);
    outbox->Put(std::move(message));
  };
  TANREN_ASSIGN_OR_RETURN(std::unique_ptr<LocalLauncher> launcher,
                          LocalLauncher::Open(std::move(local)));
  OpenedLauncher opened;
  opened.remote_end = [there = launcher.get()](const RemoteEnd& end) { there->OnRemoteEnd(end); };
  opened.launcher = std::move(launcher);
  return opened;
}

}  // namespace

absl::StatusOr<OpenedLauncher> OpenLauncher(const OpenLauncherOptions& options,
                                            ForkServer fork_server,
                                            const std::shared_ptr<Outbox>& outbox) {
  if (options.kind == "slurm") return OpenSlurm(options);
  return OpenLocal(options, std::move(fork_server), outbox);
}

}  // namespace tanren::coordinator
