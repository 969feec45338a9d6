// Of Supervisor: what it starts and how that ends.
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "coordinator/launch/local/hang_report.h"
#include "coordinator/launch/local/supervisor.h"
#include "coordinator/launch/process_table.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kOthersEndWithinMs = 5'000;
constexpr int64_t kHangReportWithinMs = 60'000;

}  // namespace

absl::Status Supervisor::StartGroup(const WorkerGroup& group) {
  ChildStart start;
  Child child;
  child.role = group.role;
  const JobFolders folders = FoldersOf(spec_.part());
  start.folder = folders.job.empty() ? "/tmp" : folders.job.string();
  if (group.ranks == 1 && group.ranks_here == 1) {
    child.rank = 0;
    start.arguments = RankArguments(spec_);
    start.program = start.arguments.front();
    start.environment = RankEnvironment(spec_, group, user_.account, folder_.path());
  } else {
    start.program = spec_.mpirun();
    start.arguments = MpirunArguments(spec_, group, telemetry::HostName());
    start.environment = LauncherEnvironment(user_.account, folder_.path());
  }
  return StartChild(std::move(child), std::move(start), true);
}

absl::Status Supervisor::StartDaemon(const RemoteStart& request) {
  if (request.argv().empty() || std::filesystem::path(request.argv(0)).filename() != "orted") {
    return absl::PermissionDeniedError("only orted is started for another node");
  }
  ChildStart start;
  start.program = spec_.orted();
  start.arguments.assign(request.argv().begin(), request.argv().end());
  start.environment = LauncherEnvironment(user_.account, folder_.path());
  for (const auto& [name, value] : request.environment()) {
    if (absl::StartsWith(name, "OMPI_") || absl::StartsWith(name, "PMIX_")) {
      start.environment.push_back(fmt::format("{}={}", name, value));
    }
  }
  start.folder = "/tmp";
  Child child;
  child.remote = request;
  const auto group = std::find_if(groups_.begin(), groups_.end(),
                                  [](const WorkerGroup& g) { return g.ranks_here > 0; });
  child.role = group == groups_.end() ? groups_.front().role : group->role;
  return StartChild(std::move(child), std::move(start), false);
}

absl::Status Supervisor::StartChild(Child child, ChildStart start, bool prepare_folders) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "no pipe");
  child.failure = Descriptor(ends[0]);
  const Descriptor failure(ends[1]);
  TANREN_ASSIGN_OR_RETURN(const Descriptor output, outputs_.Open(child.role, child.rank));
  start.failure = failure.get();
  start.output = output.get();
  TANREN_ASSIGN_OR_RETURN(child.process, sandbox_->Fork([&] {
    return StartProgram(start, user_, prepare_folders ? &spec_.part() : nullptr);
  }));
  children_.push_back(std::move(child));
  Child& started = children_.back();
  fcntl(started.failure.get(), F_SETFL, O_NONBLOCK);
  polls_.Add(started.failure.get(), [this, &started] { OnFailurePipe(started); });
  return absl::OkStatus();
}

void Supervisor::OnFailurePipe(Child& child) {
  char text[1024];
  const ssize_t size = read(child.failure.get(), text, sizeof(text));
  if (size < 0) return;
  if (size > 0) {
    child.refusal.append(text, static_cast<size_t>(size));
    return;
  }
  polls_.Remove(child.failure.get());
  child.failure.Close();
  if (!child.refusal.empty() || child.remote.has_value()) return;
  const auto group = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const WorkerGroup& g) { return g.role == child.role; });
  if (child.rank >= 0) {
    OnRankSeen(1);
  } else if (group != groups_.end() && group->ranks_here == 0) {
    // Its ranks are all elsewhere, and seen there.
    OnRankSeen(0);
  }
}

void Supervisor::OnChildren() {
  signalfd_siginfo ignored;
  while (read(child_signals_.get(), &ignored, sizeof(ignored)) > 0) {
  }
  int status = 0;
  pid_t process = 0;
  while ((process = waitpid(-1, &status, WNOHANG)) > 0) {
    if (process == sandbox_->first()) over_ = true;
    if (process == hang_reporter_) OnHangReportEnd();
    const auto it = std::find_if(children_.begin(), children_.end(),
                                 [&](const Child& child) { return child.process == process; });
    if (it == children_.end()) continue;
    while (it->failure.is_open()) OnFailurePipe(*it);
    const Child child = std::move(*it);
    children_.erase(it);
    OnChildEnd(child, status);
  }
  if (over_ || !children_.empty() || daemons_expected_ > 0) return;
  over_ = true;
}

void Supervisor::OnChildEnd(const Child& child, int status) {
  ProcessEnd end = {.role = child.role, .rank = child.rank};
  end.is_mpirun = child.rank < 0 && !child.remote.has_value();
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  if (!child.refusal.empty()) ReadRefusal(child.refusal, end);
  if (child.remote.has_value()) {
    SendRemoteEnd(*child.remote, end.signal != 0 ? 128 + end.signal : end.exit_code, end.refusal);
    --daemons_expected_;
  }
  const bool is_first_to_fail = !FirstBadEnd(history_.ends).has_value();
  AddEnd(std::move(end));
  // The attempt ends when a group of it ends badly.
  if (is_first_to_fail && FirstBadEnd(history_.ends).has_value() && kill_at_ms_ == 0) {
    kill_at_ms_ = SteadyMs() + kOthersEndWithinMs;
    SignalChildren(SIGTERM);
  }
}

void Supervisor::BeginHangReport() {
  hang_told_by_ms_ = SteadyMs() + kHangReportWithinMs;
  const std::filesystem::path attempt = FoldersOf(spec_.part()).attempt;
  if (attempt.empty()) return OnHangReportEnd();
  const std::vector<pid_t> seen_here = sandbox_->Processes();
  // Within the namespace, where flight records and processes have the same numbers.
  const absl::StatusOr<pid_t> reporter = sandbox_->Fork([&] {
    std::vector<pid_t> processes = seen_here;
    if (sandbox_->is_isolated()) processes = ProcessesInNamespaceOf(getpid());
    std::erase_if(processes, [](pid_t process) { return process == 1 || process == getpid(); });
    return WriteHangReport(attempt, spec_.node(), processes, user_).ok() ? 0 : 1;
  });
  if (!reporter.ok()) return OnHangReportEnd();
  hang_reporter_ = *reporter;
}

void Supervisor::OnHangReportEnd() {
  hang_told_by_ms_ = std::max<int64_t>(hang_told_by_ms_, 1);
  hang_reporter_ = 0;
  report_.set_hung(true);
  if (std::exchange(signals_after_report_, false)) {
    kill_at_ms_ = std::min(kill_at_ms_, SteadyMs() + kOthersEndWithinMs);
    SignalChildren(SIGTERM);
  }
  Publish(true);
}

}  // namespace tanren::coordinator
