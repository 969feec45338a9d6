#include "coordinator/agent/replacement.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr auto kTrial = std::chrono::seconds(10);

std::string& ProgramPath() {
  static std::string path;
  return path;
}

std::vector<std::string>& ProgramArguments() {
  static std::vector<std::string> arguments;
  return arguments;
}

std::vector<char*> Pointers(std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  return pointers;
}

// That the file is a program which can be loaded and is ours.
absl::Status TryProgram(const std::string& path) {
  std::vector<std::string> arguments = {path, "--version"};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, path.c_str(), &files, nullptr, Pointers(arguments).data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return absl::InternalError(fmt::format("{}: {}", path, strerror(error)));
  const auto end = std::chrono::steady_clock::now() + kTrial;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return absl::DeadlineExceededError(fmt::format("{} --version doesn't end", path));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(fmt::format("{} --version fails", path));
}

}  // namespace

void RememberProgram(int argc, char** argv) {
  std::error_code error;
  ProgramPath() = std::filesystem::read_symlink("/proc/self/exe", error).string();
  ProgramArguments().assign(argv, argv + argc);
}

absl::Status ReplaceProcess() {
  const std::string& path = ProgramPath();
  TANREN_RETURN_IF_ERROR(TryProgram(path));
  sigset_t none;
  sigset_t before;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, &before);
  execv(path.c_str(), Pointers(ProgramArguments()).data());
  const int error = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return absl::InternalError(fmt::format("{}: {}", path, strerror(error)));
}

}  // namespace tanren::coordinator
