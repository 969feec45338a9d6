#include "coordinator/client/supervised_program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestWait{1'000};
// What ran for so long may end once more without a wait.
constexpr std::chrono::seconds kRanWell{10};
constexpr size_t kTailBytes = 2'000;

// Between fork and exec: only what is safe there.
[[noreturn]] void Become(char* const* arguments, int log, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(arguments[0], arguments);
  _exit(127);
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
  return fmt::format("ended with code {}", WEXITSTATUS(status));
}

}  // namespace

SupervisedProgram::~SupervisedProgram() {
  if (!running()) return;
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

absl::Status SupervisedProgram::Start(std::vector<std::string> arguments) {
  arguments_ = std::move(arguments);
  std::vector<char*> pointers;
  for (std::string& argument : arguments_) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const int log = open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) {
    return absl::InternalError(fmt::format("{}: {}", log_.string(), strerror(errno)));
  }
  log_begin_ = static_cast<size_t>(std::max<off_t>(lseek(log, 0, SEEK_END), 0));
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) Become(pointers.data(), log, parent);
  const int error = errno;
  close(log);
  if (child < 0) return absl::InternalError(fmt::format("fork: {}", strerror(error)));
  process_ = child;
  started_ = Clock::now();
  return absl::OkStatus();
}

bool SupervisedProgram::Reap(std::string& how) {
  int status = 0;
  if (!running() || waitpid(process_, &status, WNOHANG) != process_) return false;
  process_ = 0;
  how = HowItEnded(status);
  return true;
}

std::string SupervisedProgram::Look() {
  std::string how;
  if (Reap(how)) {
    const bool ran_well = Clock::now() - started_ > kRanWell;
    wait_ = ran_well ? milliseconds(0) : std::clamp(wait_ * 2, milliseconds(100), kLongestWait);
    next_start_ = Clock::now() + wait_;
    how = fmt::format("{} {}; it is started again (its log: {})", name_, how, log_.string());
  }
  if (!running() && !arguments_.empty() && Clock::now() >= next_start_) {
    const absl::Status started = Start(std::move(arguments_));
    if (!started.ok()) {
      next_start_ = Clock::now() + kLongestWait;
      how = fmt::format("{}: {}", name_, std::string(started.message()));
    }
  }
  return how;
}

void SupervisedProgram::End(milliseconds limit) {
  arguments_.clear();
  if (!running()) return;
  kill(process_, SIGTERM);
  const Clock::time_point end = Clock::now() + limit;
  std::string how;
  while (!Reap(how)) {
    if (Clock::now() > end) {
      kill(process_, SIGKILL);
      waitpid(process_, nullptr, 0);
      process_ = 0;
      return;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
}

std::string SupervisedProgram::LogTail() const {
  const std::string text = ReadFile(log_).value_or("");
  const size_t begin = std::min(log_begin_, text.size());
  const size_t length = std::min(text.size() - begin, kTailBytes);
  std::string tail = text.substr(text.size() - length);
  if (text.size() - length > begin) tail.erase(0, tail.find('\n') + 1);
  return tail;
}

}  // namespace tanren::coordinator
