// Of Supervisor: what its launcher, its ranks and its run tell it.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <utility>

#include "coordinator/launch/local/numa.h"
#include "coordinator/launch/local/supervisor.h"
#include "coordinator/launch/local/unix_socket.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kMostConnections = 4'096;

}  // namespace

absl::Status Supervisor::ListenForAll() {
  TANREN_ASSIGN_OR_RETURN(control_listener_,
                          Listen(folder_.control_socket(), SOCK_SEQPACKET, 0600));
  polls_.Add(control_listener_.get(), [this] { AcceptControl(Accept(control_listener_)); });
  TANREN_ASSIGN_OR_RETURN(event_listener_, Listen(folder_.event_socket(), SOCK_STREAM, 0600));
  polls_.Add(event_listener_.get(), [this] { AcceptEvents(); });
  const bool is_single = IsHead(spec_) && groups_.size() == 1 && groups_[0].ranks == 1;
  if (!is_single) {
    TANREN_ASSIGN_OR_RETURN(rank_listener_, Listen(folder_.rank_socket(), SOCK_SEQPACKET, 0600));
    polls_.Add(rank_listener_.get(), [this] { AcceptRank(); });
    const std::filesystem::path programs = folder_.path() / "bin";
    if (mkdir(programs.c_str(), 0755) != 0 ||
        symlink(spec_.program().c_str(), (programs / "tanren-rank").c_str()) != 0) {
      return absl::ErrnoToStatus(errno, fmt::format("{}: can't be made", programs.string()));
    }
  }
  if (geteuid() != 0 || user_.user == 0) return absl::OkStatus();
  for (const std::filesystem::path& socket : {folder_.event_socket(), folder_.rank_socket()}) {
    if (chown(socket.c_str(), user_.user, user_.group) != 0 && errno != ENOENT) {
      return absl::ErrnoToStatus(errno, fmt::format("{}: can't be given", socket.string()));
    }
  }
  return absl::OkStatus();
}

void Supervisor::AcceptControl(Descriptor connection) {
  if (!connection.is_open() || controls_.size() >= kMostConnections) return;
  const int number = connection.get();
  fcntl(number, F_SETFL, O_NONBLOCK);
  SendReport(connection);
  controls_[number] = std::move(connection);
  polls_.Add(number, [this, number] { OnControl(number); });
}

void Supervisor::OnControl(int descriptor) {
  const absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(controls_[descriptor]);
  if (!packet.ok()) {
    polls_.Remove(descriptor);
    controls_.erase(descriptor);
    return;
  }
  SupervisorRequest request;
  if (packet->has_value() && request.ParseFromString((*packet)->bytes)) OnRequest(request);
}

void Supervisor::OnRequest(const SupervisorRequest& request) {
  if (request.has_stop()) {
    Stop(request.stop().reason(), request.stop().grace_ms());
  } else if (request.has_remote_start()) {
    const absl::Status started = kill_at_ms_ != 0
                                     ? absl::FailedPreconditionError("the attempt is being ended")
                                     : StartDaemon(request.remote_start());
    if (!started.ok()) SendRemoteEnd(request.remote_start(), 1, std::string(started.message()));
  }
}

void Supervisor::SendReport(const Descriptor& control) {
  SupervisorReply reply;
  *reply.mutable_report() = report_;
  // A launcher that doesn't read gets the news later.
  if (!SendPacket(control, reply.SerializeAsString()).ok()) Publish(false);
}

void Supervisor::SendRemoteEnd(const RemoteStart& request, int exit_code,
                               const std::string& message) {
  SupervisorReply reply;
  RemoteEnd& end = *reply.mutable_remote_end();
  end.set_request(request.request());
  end.set_to(request.from());
  end.set_exit_code(exit_code);
  end.set_message(message);
  for (const auto& [number, control] : controls_) {
    // (One that is lost: mpirun sees by itself that its daemon is gone.)
    SendPacket(control, reply.SerializeAsString()).IgnoreError();
  }
}

void Supervisor::AcceptRank() {
  Descriptor connection = Accept(rank_listener_);
  if (!connection.is_open() || ranks_.size() >= kMostConnections) return;
  const uid_t peer = PeerUser(connection);
  if (peer != user_.user && peer != 0) return;
  const int number = connection.get();
  ranks_[number].connection = std::move(connection);
  polls_.Add(number, [this, number] { OnRank(number); });
}

void Supervisor::OnRank(int descriptor) {
  Rank& rank = ranks_[descriptor];
  const absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(rank.connection);
  if (packet.ok()) {
    RankRequest request;
    if (packet->has_value() && request.ParseFromString((*packet)->bytes))
      OnRankRequest(rank, request);
    return;
  }
  // What stood between mpirun and the rank was killed, and the rank with it.
  if (!rank.role.empty() && !rank.ended) {
    AddEnd({.role = rank.role, .rank = rank.rank, .signal = SIGKILL});
  }
  polls_.Remove(descriptor);
  ranks_.erase(descriptor);
}

void Supervisor::OnRankRequest(Rank& rank, const RankRequest& request) {
  if (request.ended()) {
    if (rank.role.empty() || rank.ended) return;
    rank.ended = true;
    AddEnd({.role = rank.role,
            .rank = rank.rank,
            .exit_code = request.exit_code(),
            .signal = request.signal()});
    return;
  }
  const auto group = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const WorkerGroup& g) { return g.role == request.role(); });
  if (!rank.role.empty() || group == groups_.end() || request.rank() < 0 ||
      request.rank() >= group->ranks) {
    return;
  }
  rank.role = request.role();
  rank.rank = request.rank();
  const absl::Status answered = AnswerRank(rank, *group);
  if (!answered.ok()) {
    outputs_.Say(rank.role, rank.rank, std::string(answered.message()));
    return;
  }
  OnRankSeen(1);
}

absl::Status Supervisor::AnswerRank(const Rank& rank, const WorkerGroup& group) {
  RankPlan plan;
  for (std::string& word : RankArguments(spec_)) plan.add_argv(std::move(word));
  for (std::string& line : RankEnvironment(spec_, group, user_.account, folder_.path())) {
    plan.add_environment(std::move(line));
  }
  const JobFolders folders = FoldersOf(spec_.part());
  plan.set_folder(folders.job.empty() ? "/tmp" : folders.job.string());
  for (const Placement& placement : group.placements) {
    if (placement.node() != spec_.node()) continue;
    const int gpu =
        FirstGpuOf(group.gpus_here, group.ranks_here, rank.rank - placement.first_rank());
    for (const int cpu : CpusNearGpu(gpu)) plan.add_cpus(cpu);
  }
  if (kill_at_ms_ != 0) plan.set_refusal("the attempt is being ended");
  TANREN_ASSIGN_OR_RETURN(const Descriptor output, outputs_.Open(rank.role, rank.rank));
  return SendPacket(rank.connection, plan.SerializeAsString(), {output.get()});
}

void Supervisor::OnRankSeen(int ranks) {
  ranks_seen_ += ranks;
  int here = 0;
  for (const WorkerGroup& group : groups_) here += group.ranks_here;
  if (ranks_seen_ >= here) SetRunning();
}

void Supervisor::AcceptEvents() {
  Descriptor connection = Accept(event_listener_);
  if (!connection.is_open() || event_streams_.size() >= kMostConnections) return;
  const int number = connection.get();
  event_streams_[number].first = std::move(connection);
  polls_.Add(number, [this, number] { OnEvents(number, false); });
}

void Supervisor::OnEvents(int descriptor, bool drain) {
  char bytes[16 << 10];
  auto& [connection, stream] = event_streams_[descriptor];
  bool goes_on = true;
  do {
    const ssize_t size = read(connection.get(), bytes, sizeof(bytes));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    goes_on =
        size > 0 && stream.Feed({bytes, static_cast<size_t>(size)}, [this](const Event& event) {
          progress_.OnEvent(event, SteadyMs(), WallMs());
          Publish(event.has_checkpoint_published() && !over_);
        });
  } while (goes_on && drain);
  if (goes_on && !drain) return;
  polls_.Remove(descriptor);
  event_streams_.erase(descriptor);
}

}  // namespace tanren::coordinator
