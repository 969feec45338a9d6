#include "coordinator/launch/slurm/slurm_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "coordinator/launch/log_spool.h"
#include "coordinator/launch/process_table.h"
#include "coordinator/launch/slurm/slurm_environment.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_process.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

// The worker's "it couldn't be run": the same as its own, so that mpirun's code tells it too.
constexpr int kCantRun = 70;

// Between SIGTERM and SIGKILL. mpirun gives a second, and where Slurm ends a step with all of its
// cgroup's processes, the record of the rank's end is to be written before.
constexpr int64_t kTermToKillMs = 800;
// Without an mpirun: a little less than the supervisor gives.
constexpr int64_t kTermToKillAloneMs = 2'500;

std::optional<int> RankFromEnvironment() {
  const char* text = std::getenv("OMPI_COMM_WORLD_RANK");
  int rank = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &rank)) return std::nullopt;
  return rank;
}

void KillDescendants() {
  for (pid_t process : DescendantsOf(getpid())) kill(process, SIGKILL);
}

// What the rank has left behind, and is orphaned, is this process's (PR_SET_CHILD_SUBREAPER): also
// what has left its group, which Slurm finds only where it tracks processes by cgroup.
void EndOrphans() {
  const int64_t give_up_ms = SteadyMs() + kOrphansMs;
  while (SteadyMs() < give_up_ms) {
    if (DescendantsOf(getpid()).empty()) return;
    KillDescendants();
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// A rank that writes without pause doesn't keep its signals waiting.
constexpr int kReadsInTurn = 16;
constexpr int kLookMs = 1'000;
constexpr int kLookAgainMs = 20;

// A rank, what it writes, and the signals meant for it.
class WatchedRank {
 public:
  WatchedRank(Descriptor output, Descriptor front, int64_t term_to_kill_ms, LogSpool spool)
      : output_(std::move(output)),
        front_(std::move(front)),
        term_to_kill_ms_(term_to_kill_ms),
        spool_(std::move(spool)) {
    const sigset_t signals = SignalsForRanks();
    signals_ = Descriptor(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  }

  // Passes signals on and keeps the output until `child` ends; returns its wait status.
  int Wait(pid_t child) {
    for (;;) {
      int status = 0;
      const pid_t ended = waitpid(child, &status, WNOHANG);
      if (ended == child || (ended < 0 && errno == ECHILD)) return status;
      const bool overdue = kill_at_ms_ != 0 && SteadyMs() >= kill_at_ms_;
      if (overdue) KillDescendants();
      // (poll passes over what is closed.)
      pollfd waits[] = {{signals_.get(), POLLIN, 0},
                        {output_.is_open() ? output_.get() : -1, POLLIN, 0},
                        {front_.is_open() ? front_.get() : -1, POLLIN, 0}};
      poll(waits, 3, kill_at_ms_ != 0 ? kLookAgainMs : kLookMs);
      if (waits[2].revents != 0) {
        front_.Close();
        kill_at_ms_ = SteadyMs();
      }
      TakeOutput(kReadsInTurn);
      PassSignalsOn(child);
    }
  }

  // Until there is nothing more now.
  void TakeTheRest() { TakeOutput(std::numeric_limits<int>::max()); }

  bool told_to_end() const { return kill_at_ms_ != 0; }

 private:
  void PassSignalsOn(pid_t child) {
    signalfd_siginfo signal;
    while (read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo == SIGCHLD) continue;
      kill(child, static_cast<int>(signal.ssi_signo));
      const bool ends = signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT;
      if (ends && kill_at_ms_ == 0) kill_at_ms_ = SteadyMs() + term_to_kill_ms_;
    }
  }

  void TakeOutput(int reads) {
    char piece[64 << 10];
    for (int i = 0; i < reads && output_.is_open(); ++i) {
      const ssize_t size = read(output_.get(), piece, sizeof piece);
      if (size < 0 && errno == EINTR) continue;
      if (size == 0) output_.Close();
      if (size <= 0) return;
      spool_.Append(std::string_view(piece, static_cast<size_t>(size)));
    }
  }

  Descriptor output_;
  Descriptor front_;
  Descriptor signals_;
  const int64_t term_to_kill_ms_;
  int64_t kill_at_ms_ = 0;  // 0: nobody wants it to end
  LogSpool spool_;
};

// mpirun, which this text is meant for, may have ended.
void Say(const absl::Status& status) {
  if (!status.ok()) std::fprintf(stderr, "tanren-agent: %s\n", status.ToString().c_str());
}

}  // namespace

sigset_t SignalsForRanks() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGUSR1, SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

int KeepSlurmRank(const std::filesystem::path& path, const std::string& role, Descriptor front) {
  std::signal(SIGPIPE, SIG_IGN);
  const SlurmFolder folder(path);
  const auto task = folder.ReadTask();
  const auto rank = RankFromEnvironment();
  if (!task.ok()) {
    Say(task.status());
    return kCantRun;
  }
  ChildProgram program;
  program.argv = SlurmRankProgram(*task);
  program.environment = EnvironmentStrings(SlurmRankEnvironment(*task, role, CurrentEnvironment()));
  program.folder = folder.job_folder();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    Say(absl::ErrnoToStatus(errno, "pipe"));
    return kCantRun;
  }
  // The task may be of an agent that says none.
  const int64_t limit =
      task->log_limit_bytes() > 0 ? task->log_limit_bytes() : kDefaultLogLimitBytes;
  WatchedRank watched(Descriptor(ends[0]), std::move(front),
                      rank.has_value() ? kTermToKillMs : kTermToKillAloneMs,
                      LogSpool(folder.log(role, rank.value_or(0)), limit));
  Descriptor writing(ends[1]);
  program.output = writing.get();

  SlurmRankExit exit;
  exit.set_role(role);
  exit.set_rank(rank.value_or(0));
  const char* node = std::getenv("SLURMD_NODENAME");
  exit.set_node(node != nullptr ? node : telemetry::HostName());
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto child = StartChild(program);
  writing.Close();
  int code = kCantRun;
  if (child.ok()) {
    Say(folder.WriteRankStarted(role, exit.rank()));
    const int status = watched.Wait(*child);
    code = ShellCode(status);
    exit.set_ended_ms(WallMs());
    exit.set_told_to_end(watched.told_to_end());
    exit.set_signal(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    EndOrphans();
    watched.TakeTheRest();
  } else {
    Say(child.status());
    exit.set_ended_ms(WallMs());
  }
  exit.set_exit_code(code);
  Say(folder.WriteRankExit(exit));
  return code;
}

}  // namespace tanren::coordinator
