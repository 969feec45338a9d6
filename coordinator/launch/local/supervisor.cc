#include "coordinator/launch/local/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "coordinator/launch/local/cgroup.h"
#include "coordinator/launch/local/unix_socket.h"
#include "coordinator/state/attempt_end.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kLooksEveryMs = 200;
constexpr int64_t kProgressEveryMs = 500;
constexpr int64_t kGraceWithoutSavingMs = 5'000;
constexpr int64_t kStacksWithinMs = 15'000;

// Everything that a job names and that may lie in /tmp or /dev/shm.
std::vector<std::string> PathsOf(const SupervisorSpec& spec, const PartFolder& folder) {
  std::vector<std::string> paths = {folder.path(),
                                    spec.lease(),
                                    spec.agent_socket(),
                                    spec.program(),
                                    spec.worker(),
                                    spec.part().spec().folder(),
                                    spec.part().resume().folder()};
  for (const std::string& library : spec.libraries()) paths.push_back(library);
  for (const std::string& word : spec.part().spec().command().argv()) paths.push_back(word);
  for (const auto& [name, value] : spec.part().spec().environment()) paths.push_back(value);
  // A recipe's paths are absolute: what begins with a slash and ends with a quote, a space or a
  // line.
  const std::string& recipe = spec.part().spec().recipe().recipe();
  for (size_t i = 0; i < recipe.size(); ++i) {
    const bool begins =
        recipe[i] == '/' && (i == 0 || recipe.find_first_of(" \t\"'[,:\n", i - 1) == i - 1);
    if (!begins) continue;
    const size_t end = std::min(recipe.find_first_of("\"'\n,]# \t", i), recipe.size());
    paths.push_back(recipe.substr(i, end - i));
    i = end;
  }
  return paths;
}

}  // namespace

Supervisor::Supervisor(PartFolder folder, PartLock lock, SupervisorSpec spec, LeasePage lease)
    : folder_(std::move(folder)),
      lock_(std::move(lock)),
      spec_(std::move(spec)),
      lease_(std::move(lease)),
      outputs_(folder_.logs(), spec_.log_limit_bytes(), polls_),
      progress_(spec_.part().token().attempt(), FoldersOf(spec_.part()).attempt,
                spec_.part().spec().restart().hang_after_ms(), SteadyMs()) {
  *report_.mutable_token() = spec_.part().token();
  report_.set_state(PART_STARTING);
  history_.is_recipe = spec_.part().spec().has_recipe();
  history_.node = spec_.node();
}

int Supervisor::Run(const fs::path& path, Descriptor control) {
  setsid();
  prctl(PR_SET_NAME, "tanren-part");
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGTERM, SIG_IGN);  // a service that is stopped leaves its parts; orders end them
  signal(SIGCHLD, SIG_DFL);
  const PartFolder folder(path);
  // Whoever has the lock has decided what became of the part.
  absl::StatusOr<PartLock> lock = PartLock::Take(folder);
  absl::StatusOr<SupervisorSpec> spec = ReadPartSpec(folder);
  if (!lock.ok() || !spec.ok() || fs::exists(folder.state())) return 1;
  absl::StatusOr<LeasePage> lease = LeasePage::Open(spec->lease());
  if (!lease.ok()) return 1;
  Supervisor supervisor(folder, *std::move(lock), *std::move(spec), *std::move(lease));
  supervisor.Live(std::move(control));
  return 0;
}

void Supervisor::Live(Descriptor control) {
  const absl::Status begun = Begin();
  AcceptControl(std::move(control));
  if (!begun.ok()) Refuse(begun);
  Publish(true);
  while (!over_) {
    polls_.Wait(kLooksEveryMs);
    OnTime();
  }
  End();
}

absl::Status Supervisor::Begin() {
  TANREN_ASSIGN_OR_RETURN(groups_, GroupsOf(spec_));
  TANREN_ASSIGN_OR_RETURN(user_, FindUser(spec_.part().user(), spec_.allow_root()));
  // Everything that it starts from here on is in the group, the first process of the namespace too.
  Limit();
  // Before anything else is opened, which the first process of the namespace would keep open.
  const bool isolate = spec_.isolate();
  std::string why_not;
  if (isolate && geteuid() != 0) why_not = WhyNotIsolated(lease_);
  TANREN_ASSIGN_OR_RETURN(sandbox_, Sandbox::Make({.isolate = isolate && why_not.empty(),
                                                   .visible = PathsOf(spec_, folder_)},
                                                  lease_));
  if (why_not.empty()) why_not = sandbox_->degraded();
  if (!why_not.empty()) {
    outputs_.Say(groups_.front().role, -1,
                 fmt::format("the part has no namespaces of its own: {}", why_not));
  }
  PartProcesses processes = {.supervisor = getpid(),
                             .supervisor_start = telemetry::ProcessStart(getpid())};
  if (sandbox_->is_isolated()) {
    processes.first = sandbox_->first();
    processes.first_start = telemetry::ProcessStart(sandbox_->first());
  }
  TANREN_RETURN_IF_ERROR(lock_.Write(processes));
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, nullptr);
  child_signals_ = Descriptor(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  polls_.Add(child_signals_.get(), [this] { OnChildren(); });
  TANREN_RETURN_IF_ERROR(ListenForAll());
  reach_.emplace(spec_);
  if (!IsHead(spec_)) {
    for (const WorkerGroup& group : groups_) daemons_expected_ += group.ranks_here > 0 ? 1 : 0;
    SetRunning();
    return absl::OkStatus();
  }
  for (const WorkerGroup& group : groups_) TANREN_RETURN_IF_ERROR(StartGroup(group));
  return absl::OkStatus();
}

void Supervisor::Limit() {
  if (spec_.cgroup().empty()) return;
  Resources limits;
  for (const Placement& placement : spec_.part().placements()) {
    if (placement.node() != spec_.node()) continue;
    limits.set_cpu_millis(limits.cpu_millis() + placement.total().cpu_millis());
    limits.set_memory_bytes(limits.memory_bytes() + placement.total().memory_bytes());
  }
  const absl::StatusOr<fs::path> cgroup = MakeCgroup(
      spec_.cgroup(), fmt::format("part-{}", folder_.path().filename().string()), limits);
  const absl::Status entered = cgroup.ok() ? EnterCgroup(*cgroup, getpid()) : cgroup.status();
  if (cgroup.ok()) cgroup_ = *cgroup;
  if (entered.ok()) return;
  outputs_.Say(groups_.front().role, -1,
               fmt::format("the part's CPU time and memory are not limited: {}",
                           std::string(entered.message())));
}

void Supervisor::Refuse(const absl::Status& why) {
  AttemptEnd& end = *report_.mutable_end();
  // Another node would say the same of a spec that is wrong or isn't allowed.
  const bool final = absl::IsInvalidArgument(why) || absl::IsPermissionDenied(why);
  end.set_kind(final ? AttemptEnd::USER_ERROR : AttemptEnd::NEVER_STARTED);
  end.set_node(spec_.node());
  end.set_rank(-1);
  end.set_message(std::string(why.message()));
  over_ = true;
}

void Supervisor::CheckReach(int64_t now_ms) {
  reach_->Look(now_ms);
  if (const std::optional<Unreached>& unreached = reach_->unreached(); unreached.has_value()) {
    AttemptEnd& end = *report_.mutable_end();
    end.set_kind(AttemptEnd::INFRASTRUCTURE);
    end.set_node(spec_.node());
    end.set_unreached_node(unreached->node);
    end.set_rank(-1);
    end.set_message(fmt::format(
        "node {} doesn't reach node {} at {}: {}. The ranks of a job have to reach each other",
        spec_.node(), unreached->node, unreached->where, unreached->why));
    over_ = true;
  } else if (reach_->is_done()) {
    reach_.reset();
  }
}

void Supervisor::SetRunning() {
  if (report_.state() == PART_STARTING) report_.set_state(PART_RUNNING);
  Publish(true);
}

bool Supervisor::HasToSave(StopReason reason) const {
  switch (reason) {
    case PREEMPTED:
    case TIME_LIMIT:
    case NODE_DRAINED:
    case REQUEUED_BY_USER:
      return true;
    default:
      // Nobody wants what it would save, or a save, which takes all ranks, can't succeed.
      return false;
  }
}

void Supervisor::Stop(StopReason reason, int64_t grace_ms) {
  const bool saves = HasToSave(reason);
  const bool is_news = kill_at_ms_ == 0 || (is_saving_ && !saves);
  // What failed before it was asked to end has failed.
  if (history_.stop == STOP_REASON_UNSPECIFIED && !FirstBadEnd(history_.ends).has_value()) {
    history_.stop = reason;
  }
  const int64_t grace = saves ? grace_ms : std::min(grace_ms, kGraceWithoutSavingMs);
  const int64_t kill_at = SteadyMs() + std::max<int64_t>(grace, 0);
  kill_at_ms_ = kill_at_ms_ == 0 ? kill_at : std::min(kill_at_ms_, kill_at);
  is_saving_ = saves;
  if (reason == HANG && hang_told_by_ms_ == 0 && !children_.empty()) {
    // Seen on another node of the gang: what they wait in here is as telling, while they live.
    kill_at_ms_ += kStacksWithinMs;
    signals_after_report_ = true;
    BeginHangReport();
  } else if (is_news) {
    SignalChildren(saves ? SIGUSR1 : SIGTERM);
  }
  if (children_.empty()) over_ = true;
  report_.set_state(PART_STOPPING);
  Publish(true);
}

void Supervisor::SignalChildren(int signal) {
  for (const Child& child : children_) {
    // A daemon's mpirun tells it to save. mpirun passes on what it gets; of a rank that is started
    // directly the end goes to all its processes, the word to save only to itself.
    if (child.remote.has_value() && signal == SIGUSR1) continue;
    kill(child.rank >= 0 && signal != SIGUSR1 ? -child.process : child.process, signal);
  }
}

void Supervisor::OnTime() {
  const int64_t now = SteadyMs();
  if (lease_.HasPassed(now)) {
    history_.lease_passed = true;
    over_ = true;
  } else if (kill_at_ms_ != 0 && now >= kill_at_ms_) {
    history_.killed = true;
    over_ = true;
  }
  if (reach_.has_value() && kill_at_ms_ == 0 && !over_) CheckReach(now);
  if (hang_told_by_ms_ == 0 && kill_at_ms_ == 0 && !children_.empty() &&
      report_.state() == PART_RUNNING && (IsHead(spec_) || progress_.progress().has_value()) &&
      progress_.IsHung(now)) {
    BeginHangReport();
  }
  if (hang_told_by_ms_ != 0 && now >= hang_told_by_ms_ && !report_.hung()) OnHangReportEnd();
  if (publish_at_ms_ != 0 && now >= publish_at_ms_) Publish(true);
}

void Supervisor::AddEnd(ProcessEnd end) { history_.ends.push_back(std::move(end)); }

void Supervisor::End() {
  if (sandbox_.has_value()) sandbox_->KillAll();
  for (const Child& child : children_) OnChildEnd(child, SIGKILL);
  children_.clear();
  outputs_.Drain();
  while (!event_streams_.empty()) OnEvents(event_streams_.begin()->first, true);
  if (!report_.has_end()) {
    history_.run_ended = progress_.end_message();
    *report_.mutable_end() = EndOfPart(history_);
    if (const std::optional<ProcessEnd> bad = FirstBadEnd(history_.ends); bad.has_value()) {
      report_.mutable_end()->set_log_tail(
          SpoolTail(LogPath(folder_.logs(), bad->role, bad->rank), kLongestLogTail));
    }
  }
  report_.set_state(PART_ENDED);
  for (const fs::path& socket :
       {folder_.control_socket(), folder_.rank_socket(), folder_.event_socket()}) {
    unlink(socket.c_str());
  }
  if (!cgroup_.empty()) {
    // Not while this process is in it.
    EnterCgroup(fs::path(spec_.cgroup()) / "tanren-agent", getpid()).IgnoreError();
    RemoveCgroup(cgroup_);
  }
  Publish(true);
}

void Supervisor::Publish(bool at_once) {
  const int64_t now = SteadyMs();
  if (!at_once) {
    if (publish_at_ms_ == 0) publish_at_ms_ = now + kProgressEveryMs;
    return;
  }
  publish_at_ms_ = 0;
  if (progress_.progress().has_value()) *report_.mutable_progress() = *progress_.progress();
  if (progress_.checkpoint().has_value()) *report_.mutable_checkpoint() = *progress_.checkpoint();
  // (What the disk refuses the launcher still hears; and the next change tries again.)
  if (!ReplaceFile(folder_.state(), report_.SerializeAsString()).ok()) {
    publish_at_ms_ = now + kProgressEveryMs;
  }
  for (const auto& [number, control] : controls_) SendReport(control);
}

}  // namespace tanren::coordinator
