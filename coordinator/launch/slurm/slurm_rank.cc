#include "coordinator/launch/slurm/slurm_rank.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
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
#include "runtime/base/descriptor.h"
#include "runtime/base/error.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

// The worker's "it couldn't be run": the same as its own, so that mpirun's code tells it too.
constexpr int kCantRun = 70;

int RankFromEnvironment() {
  const char* text = std::getenv("OMPI_COMM_WORLD_RANK");
  int rank = 0;
  if (text != nullptr && !absl::SimpleAtoi(text, &rank)) rank = 0;
  return rank;
}

// What this process passes on, and SIGCHLD, are waited for instead of handled.
sigset_t PassedOn() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGUSR1, SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

// For orphans that the kernel doesn't let go of; then Slurm sees to them.
constexpr int64_t kOrphansMs = 5'000;

// What the rank has left behind, and is orphaned, is this process's (PR_SET_CHILD_SUBREAPER): also
// what has left its group, which Slurm finds only where it tracks processes by cgroup.
void EndOrphans() {
  const int64_t give_up_ms = SteadyMs() + kOrphansMs;
  while (SteadyMs() < give_up_ms) {
    const std::vector<pid_t> orphans = DescendantsOf(getpid());
    if (orphans.empty()) return;
    for (pid_t orphan : orphans) kill(orphan, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// A rank that writes without pause doesn't keep its signals waiting.
constexpr int kReadsInTurn = 16;

// A rank, what it writes, and the signals meant for it.
class WatchedRank {
 public:
  WatchedRank(Descriptor output, const sigset_t& signals, LogSpool spool)
      : output_(std::move(output)),
        signals_(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)),
        spool_(std::move(spool)) {
    fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  }

  // Passes signals on and keeps the output until `child` ends; returns its wait status.
  int Wait(pid_t child) {
    for (;;) {
      int status = 0;
      const pid_t ended = waitpid(child, &status, WNOHANG);
      if (ended == child || (ended < 0 && errno == ECHILD)) return status;
      pollfd waits[] = {{signals_.get(), POLLIN, 0}, {output_.get(), POLLIN, 0}};
      poll(waits, output_.is_open() ? 2 : 1, 1'000);
      TakeOutput(kReadsInTurn);
      signalfd_siginfo signal;
      while (read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
        if (signal.ssi_signo != SIGCHLD) kill(child, static_cast<int>(signal.ssi_signo));
      }
    }
  }

  // Until there is nothing more now.
  void TakeTheRest() { TakeOutput(std::numeric_limits<int>::max()); }

 private:
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
  const Descriptor signals_;
  LogSpool spool_;
};

}  // namespace

int RunSlurmRank(const std::filesystem::path& path, const std::string& role) {
  const SlurmFolder folder(path);
  const auto task = folder.ReadTask();
  const int rank = RankFromEnvironment();
  if (!task.ok()) {
    std::fprintf(stderr, "tanren-agent: %s\n", task.status().ToString().c_str());
    return kCantRun;
  }
  const sigset_t signals = PassedOn();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  ChildProgram program;
  program.argv = SlurmRankProgram(*task);
  program.environment = EnvironmentStrings(SlurmRankEnvironment(*task, role, CurrentEnvironment()));
  program.folder = folder.job_folder();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    std::perror("tanren-agent: pipe");
    return kCantRun;
  }
  // The task may be of an agent that says none.
  const int64_t limit =
      task->log_limit_bytes() > 0 ? task->log_limit_bytes() : kDefaultLogLimitBytes;
  WatchedRank watched(Descriptor(ends[0]), signals, LogSpool(folder.log(role, rank), limit));
  Descriptor writing(ends[1]);
  program.output = writing.get();

  SlurmRankExit exit;
  exit.set_role(role);
  exit.set_rank(rank);
  const char* node = std::getenv("SLURMD_NODENAME");
  exit.set_node(node != nullptr ? node : telemetry::HostName());
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto child = StartChild(program);
  writing.Close();
  int code = kCantRun;
  if (child.ok()) {
    const absl::Status started = folder.WriteRankStarted(role, rank);
    if (!started.ok()) std::fprintf(stderr, "tanren-agent: %s\n", started.ToString().c_str());
    const int status = watched.Wait(*child);
    code = ShellCode(status);
    exit.set_signal(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    EndOrphans();
    watched.TakeTheRest();
  } else {
    std::fprintf(stderr, "tanren-agent: %s\n", std::string(child.status().message()).c_str());
  }
  exit.set_exit_code(code);
  exit.set_ended_ms(WallMs());
  if (const absl::Status written = folder.WriteRankExit(exit); !written.ok()) {
    std::fprintf(stderr, "tanren-agent: %s\n", written.ToString().c_str());
  }
  return code;
}

}  // namespace tanren::coordinator
