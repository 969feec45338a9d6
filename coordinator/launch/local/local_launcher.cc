#include "coordinator/launch/local/local_launcher.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "coordinator/launch/local/cgroup.h"
#include "coordinator/launch/local/libraries.h"
#include "coordinator/launch/local/local_launcher_implementation.h"
#include "coordinator/launch/log_spool.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/machine.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

// How long a request for a remote daemon waits for its part: the orders of both may cross.
constexpr int64_t kPartComesWithinMs = 30'000;

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

LocalLauncher::Implementation::~Implementation() {
  stop_ = true;
  Wake();
  if (thread_.joinable()) thread_.join();
}

absl::Status LocalLauncher::Implementation::Begin() {
  const fs::path beside = options_.program.parent_path();
  worker_ = Program(options_.worker, beside, "tanren-worker");
  for (const fs::path& program : {fs::path(worker_), options_.program}) {
    for (std::string& library : LibrariesOf(program)) {
      const bool covered = library.starts_with("/tmp/") || library.starts_with("/dev/shm/");
      if (covered) libraries_.push_back(std::move(library));
    }
  }
  mpirun_ = Program("", "", "mpirun");
  orted_ = Program("", "", "orted");
  if (const absl::StatusOr<fs::path> cgroup =
          LimitingCgroup({getpid(), options_.fork_server->process()});
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
  for (const std::string& library : libraries_) spec.add_libraries(library);
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
  // The job's user goes through the part's folder to its sockets; what the job is, with its
  // environment, and what it writes is read by this program alone.
  if (chmod(part.folder.path().c_str(), 0711) != 0 ||
      chmod(part.folder.logs().c_str(), 0700) != 0) {
    return absl::ErrnoToStatus(errno, "the part's folder can't be closed to others");
  }
  TANREN_RETURN_IF_ERROR(ReplaceFile(part.folder.spec(), SpecFor(spec).SerializeAsString()));
  TANREN_ASSIGN_OR_RETURN(auto ends, PacketPair());
  TANREN_RETURN_IF_ERROR(
      options_.fork_server->StartSupervisor(part.folder.path(), std::move(ends.second)));
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

LocalLauncher::LocalLauncher(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
LocalLauncher::~LocalLauncher() = default;

absl::StatusOr<std::unique_ptr<LocalLauncher>> LocalLauncher::Open(LocalLauncherOptions options) {
  if (options.fork_server == nullptr) {
    return absl::InvalidArgumentError("a launcher needs a fork server");
  }
  if (options.program.empty()) options.program = ThisProgram();
  TANREN_RETURN_IF_ERROR(MakeDirectories(options.state / "parts"));
  options.state = fs::absolute(options.state);
  // Of root, users' processes pass through it to their sockets.
  chmod(options.state.c_str(), geteuid() == 0 ? 0711 : 0700);
  TANREN_ASSIGN_OR_RETURN(Descriptor lock, LockState(options.state));
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
int64_t LocalLauncher::Deadline() const { return implementation_->Deadline(); }
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
