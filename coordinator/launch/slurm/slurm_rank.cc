#include "coordinator/launch/slurm/slurm_rank.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "coordinator/launch/part_folder.h"
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

int WaitPassingSignalsOn(pid_t child, const sigset_t& signals) {
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno == ECHILD)) return status;
    const timespec pause = {1, 0};
    const int signal = sigtimedwait(&signals, nullptr, &pause);
    if (signal > 0 && signal != SIGCHLD) kill(child, signal);
  }
}

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
  program.log = folder.log(role, rank);

  SlurmRankExit exit;
  exit.set_role(role);
  exit.set_rank(rank);
  const char* node = std::getenv("SLURMD_NODENAME");
  exit.set_node(node != nullptr ? node : telemetry::HostName());
  const auto child = StartChild(program);
  int code = kCantRun;
  if (child.ok()) {
    const absl::Status started = folder.WriteRankStarted(role, rank);
    if (!started.ok()) std::fprintf(stderr, "tanren-agent: %s\n", started.ToString().c_str());
    const int status = WaitPassingSignalsOn(*child, signals);
    code = ShellCode(status);
    exit.set_signal(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    // Whatever the rank has left in its group goes with it.
    kill(-*child, SIGKILL);
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
