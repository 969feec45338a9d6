// Of LocalLauncher: the thread that hears of its supervisors and of mpirun's remote shells.
#include <fcntl.h>
#include <sys/socket.h>

#include <optional>
#include <utility>

#include "coordinator/launch/account.h"
#include "coordinator/launch/local/local_launcher_implementation.h"
#include "coordinator/launch/local/part_commands.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int kLooksEveryMs = 100;

}  // namespace

void LocalLauncher::Implementation::Loop() {
  polls_.Add(wake_.get(), [this] {
    uint64_t count = 0;
    if (read(wake_.get(), &count, sizeof(count)) < 0) return;
  });
  polls_.Add(shell_listener_.get(), [this] { AcceptShell(); });
  while (!stop_) {
    std::function<void()> changed;
    std::vector<std::pair<std::function<void(const RemoteEnd&)>, RemoteEnd>> ended;
    {
      const std::lock_guard lock(mutex_);
      OnTime();
      if (std::exchange(has_news_, false)) changed = changed_;
      ended.swap(ended_remotes_);
    }
    if (changed) changed();
    for (const auto& [call, end] : ended) call(end);
    polls_.Wait(kLooksEveryMs);
  }
}

void LocalLauncher::Implementation::OnTime() {
  for (const AttemptToken& token : to_watch_) {
    const auto it = parts_.find(token);
    if (it == parts_.end() || !it->second.control.is_open()) continue;
    polls_.Add(it->second.control.get(), [this, token] { OnControl(token); });
  }
  to_watch_.clear();
  for (const Descriptor& control : to_close_) polls_.Remove(control.get());
  to_close_.clear();
  for (auto& [token, part] : parts_) {
    if (part.report.state() == PART_ENDED) continue;
    if (!part.control.is_open()) Reach(part);
    SendUnsent(part);
  }
  const int64_t now = SteadyMs();
  std::erase_if(waiting_remotes_, [&](const WaitingRemote& waiting) {
    if (now < waiting.until_ms) return false;
    RemoteEnd end;
    end.set_request(waiting.request.request());
    end.set_to(waiting.request.from());
    end.set_exit_code(1);
    end.set_message(fmt::format("{} was not told of this attempt", options_.node));
    EndRemote(end);
    return true;
  });
}

void LocalLauncher::Implementation::Reach(LocalPart& part) {
  const AttemptToken token = part.report.token();
  absl::StatusOr<Descriptor> control = Connect(part.folder.control_socket(), SOCK_SEQPACKET);
  if (control.ok()) {
    part.control = *std::move(control);
    polls_.Add(part.control.get(), [this, token] { OnControl(token); });
    SendWaitingRemotes(part);
    return;
  }
  // Ended, vanished, or not listening yet.
  std::optional<PartReport> settled = SettleVanished(part.folder, options_.node, token);
  if (!settled.has_value()) return;
  part.report = *std::move(settled);
  part.unsent.clear();
  Changed();
}

void LocalLauncher::Implementation::OnControl(const AttemptToken& token) {
  const std::lock_guard lock(mutex_);
  const auto it = parts_.find(token);
  if (it == parts_.end()) return;
  LocalPart& part = it->second;
  while (part.control.is_open()) {
    fcntl(part.control.get(), F_SETFL, O_NONBLOCK);
    const absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(part.control);
    if (!packet.ok()) {
      polls_.Remove(part.control.get());
      part.control.Close();
      break;
    }
    if (!packet->has_value()) return;
    SupervisorReply reply;
    if (reply.ParseFromString((*packet)->bytes)) OnReply(part, reply);
  }
  if (part.report.state() != PART_ENDED) Reach(part);
}

void LocalLauncher::Implementation::OnReply(LocalPart& part, const SupervisorReply& reply) {
  if (reply.has_report()) {
    part.report = reply.report();
    Changed();
  } else if (reply.has_remote_end()) {
    EndRemote(reply.remote_end());
  }
}

void LocalLauncher::Implementation::AcceptShell() {
  Descriptor connection = Accept(shell_listener_);
  if (!connection.is_open()) return;
  const std::lock_guard lock(mutex_);
  const int number = connection.get();
  shells_[number].connection = std::move(connection);
  polls_.Add(number, [this, number] { OnShell(number); });
}

absl::StatusOr<RemoteStart> LocalLauncher::Implementation::RequestOfShell(
    const Descriptor& connection, const Packet& packet) {
  RemoteStart request;
  if (!request.ParseFromString(packet.bytes) || request.request() == 0) {
    return absl::InvalidArgumentError("no request of a remote shell");
  }
  const auto it = parts_.find(request.token());
  if (it == parts_.end() || it->second.report.state() == PART_ENDED) {
    return absl::FailedPreconditionError(
        fmt::format("{} doesn't run here", TokenText(request.token())));
  }
  TANREN_ASSIGN_OR_RETURN(const SupervisorSpec spec, ReadPartSpec(it->second.folder));
  TANREN_ASSIGN_OR_RETURN(const UserIds user, FindUser(spec.part().user(), spec.allow_root()));
  const uid_t peer = PeerUser(connection);
  if (peer != 0 && peer != user.user) {
    return absl::PermissionDeniedError("the attempt is another user's");
  }
  TANREN_ASSIGN_OR_RETURN(const std::string node, NodeOfMpirunHost(spec.part(), request.to()));
  request.set_from(options_.node);
  request.set_to(node);
  return request;
}

void LocalLauncher::Implementation::OnShell(int descriptor) {
  RemoteStart to_send;
  {
    const std::lock_guard lock(mutex_);
    RemoteShell& shell = shells_[descriptor];
    const absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(shell.connection);
    if (packet.ok() && !packet->has_value()) return;
    if (!packet.ok()) {
      polls_.Remove(descriptor);
      shells_.erase(descriptor);
      return;
    }
    absl::StatusOr<RemoteStart> request = RequestOfShell(shell.connection, **packet);
    if (!request.ok()) {
      RemoteEnd refusal;
      refusal.set_exit_code(1);
      refusal.set_message(std::string(request.status().message()));
      SendPacket(shell.connection, refusal.SerializeAsString()).IgnoreError();
      return;
    }
    shell.request = request->request();
    // A shell that comes again, because this agent was started anew, only waits.
    if (request->argv().empty()) return;
    to_send = *std::move(request);
  }
  if (options_.on_remote_start) options_.on_remote_start(to_send);
}

}  // namespace tanren::coordinator
