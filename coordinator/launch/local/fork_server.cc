#include "coordinator/launch/local/fork_server.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "coordinator/launch/local/supervisor.h"
#include "coordinator/launch/local/unix_socket.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int kSocket = 3;

[[noreturn]] void RunForkServer(Descriptor inherited) {
  setsid();
  // Whatever else the program had open is no business of a part's.
  if (inherited.get() != kSocket) dup2(inherited.get(), kSocket);
  const Descriptor socket(kSocket);
  syscall(SYS_close_range, kSocket + 1, ~0U, 0);
  prctl(PR_SET_NAME, "tanren-fork");
  std::signal(SIGCHLD, SIG_IGN);  // supervisors are buried by the kernel
  while (true) {
    absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(socket);
    if (!packet.ok()) _exit(0);
    if (!packet->has_value() || (*packet)->descriptors.size() != 1) continue;
    if (fork() != 0) continue;
    const std::string folder = (*packet)->bytes;
    Descriptor control = std::move((*packet)->descriptors[0]);
    close(kSocket);
    _exit(Supervisor::Run(folder, std::move(control)));
  }
}

}  // namespace

absl::StatusOr<ForkServer> StartForkServer() {
  TANREN_ASSIGN_OR_RETURN(auto ends, PacketPair());
  const pid_t fork_server = fork();
  if (fork_server < 0) return absl::ErrnoToStatus(errno, "can't fork the fork server");
  if (fork_server == 0) {
    ends.first.Close();
    RunForkServer(std::move(ends.second));
  }
  return ForkServer(std::move(ends.first), fork_server);
}

absl::Status ForkServer::StartSupervisor(const std::filesystem::path& folder, Descriptor control) {
  return Annotate(SendPacket(socket_, folder.string(), {control.get()}), "the fork server");
}

}  // namespace tanren::coordinator
