#include "coordinator/launch/slurm/slurm_command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

using Clock = std::chrono::steady_clock;

// A pipe whose ends close on every way out.
class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_, O_CLOEXEC) != 0) ends_[0] = ends_[1] = -1;
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  bool ok() const { return ends_[0] >= 0; }
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void CloseRead() { Close(ends_[0]); }
  void CloseWrite() { Close(ends_[1]); }

 private:
  static void Close(int& end) {
    if (end >= 0) close(end);
    end = -1;
  }
  int ends_[2];
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Signals as a fresh program expects them: this process's threads block some.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment, const Pipe& output,
                            const Pipe& errors) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output.write_end(), 1);
  posix_spawn_file_actions_adddup2(&files, errors.write_end(), 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t child = -1;
  const int error = posix_spawn(&child, argv[0].c_str(), &files, &attributes, Pointers(argv).data(),
                                Pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return absl::NotFoundError(
        fmt::format("{}: can't be started: {}", argv[0], std::generic_category().message(error)));
  }
  return child;
}

// Reads what is there; false at the end.
bool ReadSome(int descriptor, std::string& into) {
  char buffer[4096];
  const ssize_t count = read(descriptor, buffer, sizeof buffer);
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  into.append(buffer, static_cast<size_t>(count));
  return count > 0;
}

absl::Status ReadUntilClosed(const std::string& program, Pipe& output, Pipe& errors,
                             Clock::time_point deadline, size_t limit, CommandResult& result) {
  while (output.ok() || errors.read_end() >= 0) {
    const int64_t left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return absl::DeadlineExceededError(fmt::format("{}: no answer in time", program));
    }
    pollfd waiting[] = {{output.read_end(), POLLIN, 0}, {errors.read_end(), POLLIN, 0}};
    if (poll(waiting, 2, static_cast<int>(left)) < 0 && errno != EINTR) break;
    if (waiting[0].revents != 0 && !ReadSome(output.read_end(), result.output)) output.CloseRead();
    if (waiting[1].revents != 0 && !ReadSome(errors.read_end(), result.errors)) errors.CloseRead();
    if (result.output.size() + result.errors.size() > limit) {
      return absl::ResourceExhaustedError(
          fmt::format("{}: wrote more than {} bytes", program, limit));
    }
  }
  return absl::OkStatus();
}

// Closing its output isn't ending: the child may still take its time.
absl::Status WaitForEnd(const std::string& program, pid_t child, Clock::time_point deadline,
                        CommandResult& result) {
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) {
      result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      return absl::OkStatus();
    }
    if (ended < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, program);
    if (Clock::now() >= deadline) {
      return absl::DeadlineExceededError(fmt::format("{}: no answer in time", program));
    }
    usleep(2000);
  }
}

}  // namespace

absl::StatusOr<CommandResult> RunCommand(const std::vector<std::string>& argv,
                                         const std::vector<std::string>& environment,
                                         int64_t timeout_ms, size_t limit) {
  Pipe output, errors;
  if (!output.ok() || !errors.ok()) return absl::ResourceExhaustedError("no pipe is left");
  TANREN_ASSIGN_OR_RETURN(const pid_t child, Spawn(argv, environment, output, errors));
  output.CloseWrite();
  errors.CloseWrite();
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  CommandResult result;
  absl::Status status = ReadUntilClosed(argv[0], output, errors, deadline, limit, result);
  if (status.ok()) status = WaitForEnd(argv[0], child, deadline, result);
  if (!status.ok()) {
    kill(-child, SIGKILL);  // with what it has started
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return status;
  }
  return result;
}

std::vector<std::string> SlurmClientEnvironment() {
  std::vector<std::string> environment = {"LC_ALL=C"};
  for (const char* name : {"PATH", "HOME", "USER", "LOGNAME", "TZ", "SLURM_CONF"}) {
    if (const char* value = std::getenv(name)) {
      environment.push_back(fmt::format("{}={}", name, value));
    }
  }
  return environment;
}

}  // namespace tanren::coordinator
