#include "coordinator/launch/slurm/slurm_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

#include "absl/strings/str_split.h"
#include "runtime/base/descriptor.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

struct Failure {
  int step = 0;
  int error = 0;
};
constexpr const char* kSteps[] = {"its parent is gone", "its folder", "its output", "its program"};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::string PathOf(const std::vector<std::string>& environment) {
  for (const std::string& entry : environment) {
    if (entry.rfind("PATH=", 0) == 0) return entry.substr(5);
  }
  return "/usr/local/bin:/usr/bin:/bin";
}

std::string FindProgram(const std::string& program, const std::vector<std::string>& environment) {
  if (program.find('/') != std::string::npos) return program;
  for (const absl::string_view folder : absl::StrSplit(PathOf(environment), ':')) {
    std::string candidate = fmt::format("{}/{}", std::string(folder), program);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return program;
}

// Between fork and exec only what a signal handler may do.
[[noreturn]] void BecomeChild(const ChildProgram& program, const char* path, char* const* argv,
                              char* const* environment, pid_t parent, int report) {
  const auto fail = [&](int step) {
    const Failure failure{step, errno};
    [[maybe_unused]] const ssize_t written = write(report, &failure, sizeof failure);
    _exit(127);
  };
  sigset_t none;
  sigemptyset(&none);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) fail(0);
  if (!program.folder.empty() && chdir(program.folder.c_str()) != 0) fail(1);
  if (const int input = open("/dev/null", O_RDONLY); input >= 0) dup2(input, 0);
  if (program.output >= 0 && (dup2(program.output, 1) < 0 || dup2(program.output, 2) < 0)) fail(2);
  execve(path, argv, environment);
  fail(3);
  _exit(127);
}

}  // namespace

absl::StatusOr<pid_t> StartChild(const ChildProgram& program) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const std::string path = FindProgram(program.argv[0], program.environment);
  const std::vector<char*> argv = Pointers(program.argv);
  const std::vector<char*> environment = Pointers(program.environment);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return absl::ErrnoToStatus(errno, "fork");
  if (child == 0) {
    BecomeChild(program, path.c_str(), argv.data(), environment.data(), parent, writing.get());
  }
  setpgid(child, child);  // here too: whoever comes first
  writing.Close();
  Failure failure;
  if (read(reading.get(), &failure, sizeof failure) != sizeof failure) return child;
  waitpid(child, nullptr, 0);
  return absl::ErrnoToStatus(failure.error,
                             fmt::format("{}: can't be started: {}", path, kSteps[failure.step]));
}

int ShellCode(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

}  // namespace tanren::coordinator
