// A program that is kept running: started again when it ends, its output in a file.
#ifndef TANREN_COORDINATOR_CLIENT_SUPERVISED_PROGRAM_H_
#define TANREN_COORDINATOR_CLIENT_SUPERVISED_PROGRAM_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tanren::coordinator {

// Used by the thread that starts it: the program ends (SIGTERM) when that thread does.
class SupervisedProgram {
 public:
  using Clock = std::chrono::steady_clock;

  // `name` is for messages; `log` is appended to.
  SupervisedProgram(std::string name, std::filesystem::path log)
      : name_(std::move(name)), log_(std::move(log)) {}
  // Kills it if it runs.
  ~SupervisedProgram();
  SupervisedProgram(const SupervisedProgram&) = delete;
  SupervisedProgram& operator=(const SupervisedProgram&) = delete;

  // In a process group of its own: a terminal's Ctrl-C doesn't reach it. With the same arguments at
  // each further start.
  absl::Status Start(std::vector<std::string> arguments);

  // The next start is with these.
  void KeepArguments(std::vector<std::string> arguments) { arguments_ = std::move(arguments); }

  // Sees whether it has ended, and starts it again once its time has come: at once, then after
  // waits that double up to 1 s while it keeps ending early. Returns what happened, for people; ""
  // for nothing.
  std::string Look();

  // SIGTERM, and SIGKILL if it still runs after `limit`.
  void End(std::chrono::milliseconds limit);

  bool running() const { return process_ > 0; }
  pid_t process() const { return process_; }
  const std::string& name() const { return name_; }
  const std::filesystem::path& log() const { return log_; }
  // The last lines of its output since it was started last.
  std::string LogTail() const;

 private:
  // Whether it has ended now, and how.
  bool Reap(std::string& how);

  const std::string name_;
  const std::filesystem::path log_;
  std::vector<std::string> arguments_;
  pid_t process_ = 0;
  size_t log_begin_ = 0;
  Clock::time_point started_;
  Clock::time_point next_start_;
  std::chrono::milliseconds wait_{0};
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_SUPERVISED_PROGRAM_H_
