#include "coordinator/launch/slurm/slurm_rank.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <utility>

#include "coordinator/launch/slurm/slurm_keeper.h"
#include "coordinator/launch/slurm/slurm_process.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {
namespace {

constexpr int kCantRun = 70;
constexpr int kParentGone = 128 + SIGKILL;

int Cant(const char* what) {
  std::perror(what);
  return kCantRun;
}

// Until the keeper has ended, or the parent has.
int Stand(pid_t keeper, pid_t parent, const sigset_t& signals) {
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(keeper, &status, WNOHANG);
    if (ended == keeper) return ShellCode(status);
    if (ended < 0 && errno == ECHILD) return kCantRun;
    const timespec pause = {1, 0};
    const int signal = sigtimedwait(&signals, nullptr, &pause);
    if (signal > 0 && signal != SIGCHLD) kill(keeper, signal);
    if (getppid() != parent) return kParentGone;
  }
}

}  // namespace

int RunSlurmRank(const std::filesystem::path& folder, const std::string& role) {
  const pid_t parent = getppid();
  const sigset_t signals = SignalsForRanks();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  // Never written to: its end is this process's.
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Cant("tanren-agent: pipe");
  Descriptor front(ends[0]), own(ends[1]);
  const pid_t keeper = fork();
  if (keeper < 0) return Cant("tanren-agent: fork");
  if (keeper == 0) {
    setsid();
    own.Close();
    _exit(KeepSlurmRank(folder, role, std::move(front)));
  }
  front.Close();
  return Stand(keeper, parent, signals);
}

}  // namespace tanren::coordinator
