// A forked child that a test kills, stops or asks things of. For tests that have no other threads.
#ifndef TANREN_TESTS_RUNTIME_TELEMETRY_CHILD_PROCESS_H_
#define TANREN_TESTS_RUNTIME_TELEMETRY_CHILD_PROCESS_H_

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <string>

namespace tanren::telemetry {

class ChildProcess {
 public:
  // The child runs `body(ready)` and exits with what it returns; this returns once it has called
  // `ready` or has ended. Its standard error can be read by Errors.
  explicit ChildProcess(const std::function<int(const std::function<void()>& ready)>& body) {
    std::array<int, 2> ready{}, errors{};
    if (pipe(ready.data()) != 0 || pipe(errors.data()) != 0) return;
    id_ = fork();
    if (id_ == 0) {
      close(ready[0]);
      close(errors[0]);
      dup2(errors[1], STDERR_FILENO);
      close(errors[1]);
      const int code = body([&] { close(ready[1]); });
      _exit(code);
    }
    close(ready[1]);
    close(errors[1]);
    errors_ = errors[0];
    char byte = 0;
    (void)!read(ready[0], &byte, 1);
    close(ready[0]);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (id_ > 0) {
      kill(id_, SIGKILL);
      waitpid(id_, nullptr, 0);
    }
    close(errors_);
  }

  pid_t id() const { return id_; }
  void Signal(int signal) const { kill(id_, signal); }

  // The exit code, or 128 + the signal that ended it.
  int Wait() {
    int status = 0;
    waitpid(id_, &status, 0);
    id_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // What it wrote to standard error, to its end.
  std::string Errors() const {
    std::string text;
    std::array<char, 256> part{};
    ssize_t count = 0;
    while ((count = read(errors_, part.data(), part.size())) > 0) text.append(part.data(), count);
    return text;
  }

 private:
  pid_t id_ = 0;
  int errors_ = -1;
};

}  // namespace tanren::telemetry

#endif  // TANREN_TESTS_RUNTIME_TELEMETRY_CHILD_PROCESS_H_
