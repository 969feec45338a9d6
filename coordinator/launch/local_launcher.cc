#include "coordinator/launch/local_launcher.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "coordinator/launch/account.h"
#include "coordinator/launch/cgroup.h"
#include "coordinator/launch/lease_page.h"
#include "coordinator/launch/local_parts.h"
#include "coordinator/launch/log_spool.h"
#include "coordinator/launch/part_commands.h"
#include "coordinator/launch/unix_socket.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/machine.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kLooksEveryMs = 100;
// How long a request for a remote daemon waits for its part: the orders of both may cross.
constexpr int64_t kPartComesWithinMs = 30'000;

absl::StatusOr<Descriptor> LockFolder(const fs::path& state) {
  const fs::path path = state / "lock";
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.is_open()) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't open", path.string()));
  }
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  return absl::FailedPreconditionError(
      fmt::format("{}: another agent runs with this state folder", state.string()));
}

fs::path ThisProgram() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
}

// Where it is found; its plain name where it isn't, so that starting it says what is missing.
std::string Program(const fs::path& given, const fs::path& beside, const std::string& name) {
  if (!given.empty()) return given;
  std::error_code error;
  if (!beside.empty() && fs::exists(beside / name, error)) return beside / name;
  const fs::path found = FindProgram(name);
  return found.empty() ? name : found.string();
}

}  // namespace

// The mutex guards everything that both threads use. The loop's thread is the only one that reads
// from supervisors; writing to them never waits.
class LocalLauncher::Implementation {
 public:
  explicit Implementation(LocalLauncherOptions options, Descriptor lock, LeasePage lease)
      : options_(std::move(options)),
        lock_(std::move(lock)),
        lease_(std::move(lease)),
        ended_(options_.state, options_.ended_parts_kept) {}
  ~Implementation();

  absl::Status Begin();

  void Start(const PartSpec& part);
  void Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms);
  void Forget(const AttemptToken& token);
  std::vector<PartReport> Parts();
  void SetDeadline(int64_t steady_ms) { lease_.Set(steady_ms); }
  absl::StatusOr<LogChunk> ReadLog(const ReadLogChunk& request);
  absl::Status StartRemote(const RemoteStart& request, std::function<void(const RemoteEnd&)> ended);
  void OnChange(std::function<void()> changed);
  void OnRemoteEnd(const RemoteEnd& end);

 private:
  struct WaitingRemote {
    RemoteStart request;
    int64_t until_ms = 0;
  };
  struct RemoteShell {
    Descriptor connection;
    uint64_t request = 0;  // 0: hasn't asked yet
  };

  void Adopt();
  absl::Status StartSupervisor(LocalPart& part, const PartSpec& spec);
  SupervisorSpec SpecFor(const PartSpec& part) const;
  void Send(LocalPart& part, const SupervisorRequest& request);
  void SendUnsent(LocalPart& part);
  void SendWaitingRemotes(LocalPart& part);
  void EndRemote(const RemoteEnd& end);
  void Changed() { has_news_ = true; }
  void Wake();

  // The loop's thread.
  void Loop();
  void Reach(LocalPart& part);
  void OnControl(const AttemptToken& token);
  void OnReply(LocalPart& part, const SupervisorReply& reply);
  void OnTime();
  void AcceptShell();
  void OnShell(int descriptor);
  absl::StatusOr<RemoteStart> RequestOfShell(const Descriptor& connection, const Packet& packet);

  LocalLauncherOptions options_;
  Descriptor lock_;
  LeasePage lease_;
  std::string worker_, mpirun_, orted_, cgroup_;

  std::mutex mutex_;
  EndedParts ended_;
  std::map<AttemptToken, LocalPart> parts_;
  std::map<uint64_t, std::function<void(const RemoteEnd&)>> remote_ends_;
  std::vector<WaitingRemote> waiting_remotes_;
  std::vector<std::pair<std::function<void(const RemoteEnd&)>, RemoteEnd>> ended_remotes_;
  std::map<int, RemoteShell> shells_;
  std::function<void()> changed_;
  bool has_news_ = false;
  std::vector<AttemptToken> to_watch_;
  std::vector<Descriptor> to_close_;

  PollSet polls_;
  Descriptor wake_;
  Descriptor shell_listener_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

LocalLauncher::Implementation::~Implementation() {
  stop_ = true;
  Wake();
  if (thread_.joinable()) thread_.join();
}

absl::Status LocalLauncher::Implementation::Begin() {
  const fs::path beside = options_.program.parent_path();
  worker_ = Program(options_.worker, beside, "tanren-worker");
  mpirun_ = Program("", "", "mpirun");
  orted_ = Program("", "", "orted");
  if (const absl::StatusOr<fs::path> cgroup =
          LimitingCgroup({getpid(), options_.helper->process()});
      cgroup.ok()) {
    cgroup_ = *cgroup;
  } else {
    LogWarning("CPU time and memory of jobs are not limited here: {}",
               std::string(cgroup.status().message()));
  }
  const fs::path socket = options_.state / "agent.sock";
  // Of whoever runs as another user than this, the connection is asked who it is.
  TANREN_ASSIGN_OR_RETURN(shell_listener_,
                          Listen(socket, SOCK_SEQPACKET, geteuid() == 0 ? 0666 : 0600));
  wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Adopt();
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void LocalLauncher::Implementation::Adopt() {
  std::error_code error;
  bool any_lives = false;
  for (fs::directory_iterator it(options_.state / "parts", error), end; !error && it != end;
       it.increment(error)) {
    AttemptToken token;
    if (!FromTokenText(it->path().filename().string(), token)) continue;
    LocalPart part{.folder = PartFolder(it->path())};
    if (absl::StatusOr<PartReport> state = ReadPartState(part.folder); state.ok()) {
      part.report = *std::move(state);
    } else {
      part.report.set_state(PART_STARTING);
    }
    *part.report.mutable_token() = token;
    any_lives = any_lives || PartLock::IsHeld(part.folder);
    parts_.emplace(token, std::move(part));
  }
  // A deadline of another boot says nothing, and one that was is passed by now for those that live.
  if (!any_lives) lease_.Set(0);
}

SupervisorSpec LocalLauncher::Implementation::SpecFor(const PartSpec& part) const {
  SupervisorSpec spec;
  *spec.mutable_part() = part;
  spec.set_node(options_.node);
  spec.set_program(options_.program);
  spec.set_worker(worker_);
  spec.set_mpirun(mpirun_);
  spec.set_orted(orted_);
  spec.set_lease(options_.state / "lease");
  spec.set_agent_socket(options_.state / "agent.sock");
  spec.set_allow_root(options_.allow_root);
  spec.set_log_limit_bytes(options_.log_limit_bytes);
  spec.set_isolate(options_.isolate);
  spec.set_cgroup(cgroup_);
  return spec;
}

void LocalLauncher::Implementation::Start(const PartSpec& spec) {
  const std::lock_guard lock(mutex_);
  if (parts_.count(spec.token()) != 0 || ended_.Has(spec.token())) return;
  LocalPart& part =
      parts_.emplace(spec.token(), LocalPart{PartFolder(options_.state, spec.token())})
          .first->second;
  *part.report.mutable_token() = spec.token();
  part.report.set_state(PART_STARTING);
  const absl::Status started = StartSupervisor(part, spec);
  if (!started.ok()) {
    part.report = NeverStarted(spec.token(), options_.node, std::string(started.message()));
    ReplaceFile(part.folder.state(), part.report.SerializeAsString()).IgnoreError();
  }
  SendWaitingRemotes(part);
  to_watch_.push_back(spec.token());
  Changed();
  Wake();
}

absl::Status LocalLauncher::Implementation::StartSupervisor(LocalPart& part, const PartSpec& spec) {
  TANREN_RETURN_IF_ERROR(MakeDirectories(part.folder.logs()));
  TANREN_RETURN_IF_ERROR(ReplaceFile(part.folder.spec(), SpecFor(spec).SerializeAsString()));
  TANREN_ASSIGN_OR_RETURN(auto ends, PacketPair());
  TANREN_RETURN_IF_ERROR(
      options_.helper->StartSupervisor(part.folder.path(), std::move(ends.second)));
  part.control = std::move(ends.first);
  return absl::OkStatus();
}

void LocalLauncher::Implementation::Stop(const AttemptToken& token, StopReason reason,
                                         int64_t grace_ms) {
  const std::lock_guard lock(mutex_);
  const auto it = parts_.find(token);
  if (it == parts_.end()) {
    if (ended_.Has(token)) return;
    LocalPart part{PartFolder(options_.state, token)};
    part.report = NeverStarted(token, options_.node, "asked to stop before it began");
    absl::Status kept = MakeDirectories(part.folder.path());
    if (kept.ok()) kept = ReplaceFile(part.folder.state(), part.report.SerializeAsString());
    if (!kept.ok()) LogWarning("{}", std::string(kept.message()));
    parts_.emplace(token, std::move(part));
    Changed();
    Wake();
    return;
  }
  if (it->second.report.state() == PART_ENDED) return;
  SupervisorRequest request;
  request.mutable_stop()->set_reason(reason);
  request.mutable_stop()->set_grace_ms(grace_ms);
  Send(it->second, request);
}

void LocalLauncher::Implementation::Forget(const AttemptToken& token) {
  const std::lock_guard lock(mutex_);
  const auto it = parts_.find(token);
  if (it == parts_.end() || it->second.report.state() != PART_ENDED) return;
  ended_.Add(it->second.folder, token);
  // (The loop's thread may be waiting for it.)
  if (it->second.control.is_open()) to_close_.push_back(std::move(it->second.control));
  parts_.erase(it);
}

std::vector<PartReport> LocalLauncher::Implementation::Parts() {
  const std::lock_guard lock(mutex_);
  std::vector<PartReport> reports;
  for (const auto& [token, part] : parts_) reports.push_back(part.report);
  return reports;
}

void LocalLauncher::Implementation::OnChange(std::function<void()> changed) {
  const std::lock_guard lock(mutex_);
  changed_ = std::move(changed);
}

absl::StatusOr<LogChunk> LocalLauncher::Implementation::ReadLog(const ReadLogChunk& request) {
  PartFolder folder(options_.state, request.token());
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    const auto it = parts_.find(request.token());
    if (it != parts_.end()) {
      ended = it->second.report.state() == PART_ENDED;
    } else if (ended_.Has(request.token())) {
      folder = PartFolder(ended_.PathOf(request.token()));
      ended = true;
    } else {
      return absl::NotFoundError(
          fmt::format("no logs of {} on {}", TokenText(request.token()), options_.node));
    }
  }
  if (request.role().find('/') != std::string::npos) {
    return absl::InvalidArgumentError(fmt::format("'{}' is no role", request.role()));
  }
  return ReadSpool(LogPath(folder.logs(), request.role(), request.rank()), request, ended);
}

void LocalLauncher::Implementation::Send(LocalPart& part, const SupervisorRequest& request) {
  part.unsent.push_back(request.SerializeAsString());
  SendUnsent(part);
}

void LocalLauncher::Implementation::SendUnsent(LocalPart& part) {
  while (part.control.is_open() && !part.unsent.empty() &&
         SendPacket(part.control, part.unsent.front()).ok()) {
    part.unsent.pop_front();
  }
}

absl::Status LocalLauncher::Implementation::StartRemote(
    const RemoteStart& request, std::function<void(const RemoteEnd&)> ended) {
  const std::lock_guard lock(mutex_);
  const auto it = parts_.find(request.token());
  if (ended_.Has(request.token()) ||
      (it != parts_.end() && it->second.report.state() == PART_ENDED)) {
    return absl::FailedPreconditionError(
        fmt::format("{}'s part of {} has ended", options_.node, TokenText(request.token())));
  }
  remote_ends_[request.request()] = std::move(ended);
  waiting_remotes_.push_back({request, SteadyMs() + kPartComesWithinMs});
  if (it != parts_.end()) SendWaitingRemotes(it->second);
  return absl::OkStatus();
}

void LocalLauncher::Implementation::SendWaitingRemotes(LocalPart& part) {
  std::erase_if(waiting_remotes_, [&](const WaitingRemote& waiting) {
    if (!(waiting.request.token() == part.report.token())) return false;
    SupervisorRequest request;
    *request.mutable_remote_start() = waiting.request;
    Send(part, request);
    return true;
  });
}

void LocalLauncher::Implementation::EndRemote(const RemoteEnd& end) {
  const auto it = remote_ends_.find(end.request());
  if (it == remote_ends_.end()) return;
  ended_remotes_.emplace_back(std::move(it->second), end);
  remote_ends_.erase(it);
}

void LocalLauncher::Implementation::OnRemoteEnd(const RemoteEnd& end) {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, shell] : shells_) {
    if (shell.request == end.request()) {
      SendPacket(shell.connection, end.SerializeAsString()).IgnoreError();
    }
  }
}

void LocalLauncher::Implementation::Wake() {
  const uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;  // (it is awake)
}

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

LocalLauncher::LocalLauncher(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
LocalLauncher::~LocalLauncher() = default;

absl::StatusOr<std::unique_ptr<LocalLauncher>> LocalLauncher::Open(LocalLauncherOptions options) {
  if (options.helper == nullptr) return absl::InvalidArgumentError("a launcher needs a helper");
  if (options.program.empty()) options.program = ThisProgram();
  TANREN_RETURN_IF_ERROR(MakeDirectories(options.state / "parts"));
  options.state = fs::absolute(options.state);
  // Of root, users' processes pass through it to their sockets.
  chmod(options.state.c_str(), geteuid() == 0 ? 0711 : 0700);
  TANREN_ASSIGN_OR_RETURN(Descriptor lock, LockFolder(options.state));
  TANREN_ASSIGN_OR_RETURN(LeasePage lease, LeasePage::Create(options.state / "lease"));
  auto implementation =
      std::make_unique<Implementation>(std::move(options), std::move(lock), std::move(lease));
  TANREN_RETURN_IF_ERROR(implementation->Begin());
  return std::unique_ptr<LocalLauncher>(new LocalLauncher(std::move(implementation)));
}

void LocalLauncher::Start(const PartSpec& part) { implementation_->Start(part); }
void LocalLauncher::Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms) {
  implementation_->Stop(token, reason, grace_ms);
}
void LocalLauncher::Forget(const AttemptToken& token) { implementation_->Forget(token); }
std::vector<PartReport> LocalLauncher::Parts() { return implementation_->Parts(); }
void LocalLauncher::SetDeadline(int64_t steady_ms) { implementation_->SetDeadline(steady_ms); }
absl::StatusOr<LogChunk> LocalLauncher::ReadLog(const ReadLogChunk& request) {
  return implementation_->ReadLog(request);
}
absl::Status LocalLauncher::StartRemote(const RemoteStart& request,
                                        std::function<void(const RemoteEnd&)> ended) {
  return implementation_->StartRemote(request, std::move(ended));
}
void LocalLauncher::OnChange(std::function<void()> changed) {
  implementation_->OnChange(std::move(changed));
}
void LocalLauncher::OnRemoteEnd(const RemoteEnd& end) { implementation_->OnRemoteEnd(end); }

}  // namespace tanren::coordinator
