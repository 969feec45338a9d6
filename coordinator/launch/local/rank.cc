// tanren-agent rank: see launch_command.h.
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "coordinator/launch/local/launch_command.h"
#include "coordinator/launch/local/unix_socket.h"
#include "fmt/format.h"
#include "proto/launch.pb.h"

extern char** environ;

namespace tanren::coordinator {
namespace {

constexpr int kNotStarted = 127;
constexpr int kSignalBase = 128;

int Fail(std::string_view why) {
  fmt::print(stderr, "tanren-agent rank: {}\n", why);
  return kNotStarted;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What the supervisor says, and what MPI_Init needs of what mpirun set.
std::vector<std::string> EnvironmentOf(const RankPlan& plan) {
  std::vector<std::string> lines(plan.environment().begin(), plan.environment().end());
  for (char** entry = environ; *entry != nullptr; ++entry) {
    for (const char* prefix : {"OMPI_", "PMIX_", "ORTE_", "OPAL_"}) {
      if (absl::StartsWith(*entry, prefix)) lines.emplace_back(*entry);
    }
  }
  return lines;
}

[[noreturn]] void BecomeRank(const RankPlan& plan, const Descriptor& output, pid_t parent,
                             const sigset_t& signals) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kNotStarted);
  dup2(output.get(), STDOUT_FILENO);
  dup2(output.get(), STDERR_FILENO);
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (const int cpu : plan.cpus()) CPU_SET(cpu, &cpus);
  if (plan.cpus_size() > 0) sched_setaffinity(0, sizeof(cpus), &cpus);
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  const std::vector<std::string> arguments(plan.argv().begin(), plan.argv().end());
  const std::vector<std::string> environment = EnvironmentOf(plan);
  if (chdir(plan.folder().c_str()) == 0) {
    execve(arguments[0].c_str(), Pointers(arguments).data(), Pointers(environment).data());
  }
  fmt::print(stderr, "tanren: {} can't be started in {}: {}\n", arguments[0], plan.folder(),
             std::strerror(errno));
  std::fflush(stderr);
  _exit(kNotStarted);
}

// Passes signals on until the rank has ended; its status as of waitpid.
int Await(pid_t rank, const sigset_t& signals) {
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    int status = 0;
    if (signal != SIGCHLD) {
      kill(signal == SIGTERM ? -rank : rank, signal);
    } else if (waitpid(rank, &status, WNOHANG) == rank) {
      return status;
    }
  }
}

absl::StatusOr<RankPlan> Ask(const Descriptor& supervisor, const RankRequest& request,
                             Descriptor& output) {
  const absl::Status sent = SendPacket(supervisor, request.SerializeAsString());
  if (!sent.ok()) return sent;
  absl::StatusOr<std::optional<Packet>> answer = ReceivePacket(supervisor);
  if (!answer.ok()) return answer.status();
  RankPlan plan;
  if (!answer->has_value() || !plan.ParseFromString((*answer)->bytes) || plan.argv().empty() ||
      (*answer)->descriptors.size() != 1) {
    return absl::DataLossError("the supervisor's answer can't be read");
  }
  if (!plan.refusal().empty()) return absl::FailedPreconditionError(plan.refusal());
  output = std::move((*answer)->descriptors[0]);
  return plan;
}

}  // namespace

int RunRank(int argc, char** argv) {
  const char* socket = std::getenv("TANREN_PART_SOCKET");
  const char* number = std::getenv("OMPI_COMM_WORLD_RANK");
  RankRequest request;
  int rank = 0;
  if (argc != 3 || socket == nullptr || number == nullptr || !absl::SimpleAtoi(number, &rank)) {
    return Fail("it is started by mpirun, for an agent");
  }
  request.set_role(argv[2]);
  request.set_rank(rank);
  const absl::StatusOr<Descriptor> supervisor = Connect(socket, SOCK_SEQPACKET);
  if (!supervisor.ok()) return Fail(std::string(supervisor.status().message()));
  Descriptor output;
  const absl::StatusOr<RankPlan> plan = Ask(*supervisor, request, output);
  if (!plan.ok()) return Fail(std::string(plan.status().message()));

  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return Fail(std::strerror(errno));
  if (child == 0) BecomeRank(*plan, output, parent, before);
  output.Close();
  const int status = Await(child, all);

  request.set_ended(true);
  if (WIFEXITED(status)) request.set_exit_code(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) request.set_signal(WTERMSIG(status));
  SendPacket(*supervisor, request.SerializeAsString()).IgnoreError();
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  // mpirun tells of a signal only if its own child ended by one.
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(WTERMSIG(status), SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  raise(WTERMSIG(status));
  return kSignalBase + WTERMSIG(status);
}

std::optional<int> RunLaunchCommand(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "remote-shell") return RunRemoteShell(argc, argv);
  if (command == "rank") return RunRank(argc, argv);
  return std::nullopt;
}

}  // namespace tanren::coordinator
