#include "trainer/commands/mpirun.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/machine.h"
#include "runtime/comm/mpi.h"

namespace tanren::trainer {
namespace {

// This process's arguments after its name, without --ranks and its value.
absl::StatusOr<std::vector<std::string>> OwnArguments() {
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/self/cmdline"));
  std::vector<std::string> arguments;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\0', begin);
    arguments.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  std::vector<std::string> kept;
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "--ranks") {
      ++i;
    } else if (!arguments[i].starts_with("--ranks=")) {
      kept.push_back(arguments[i]);
    }
  }
  return kept;
}

}  // namespace

std::vector<std::string> MpirunCommand(int ranks, bool as_root) {
  std::vector<std::string> command;
  for (const char* word : {"mpirun", "--bind-to", "none", "--oversubscribe", "-n"}) {
    command.emplace_back(word);
  }
  command.push_back(std::to_string(ranks));
  if (as_root) command.emplace_back("--allow-run-as-root");
  return command;
}

absl::Status BecomeRanks(int ranks) {
  if (ranks <= 1 || comm::StartedByMpi()) return absl::OkStatus();
  const std::filesystem::path mpirun = FindProgram("mpirun");
  if (mpirun.empty()) {
    return absl::NotFoundError("--ranks needs mpirun, which is not in PATH: install openmpi-bin");
  }
  TANREN_ASSIGN_OR_RETURN(const std::vector<std::string> arguments_of_worker, OwnArguments());
  std::vector<std::string> command = MpirunCommand(ranks, geteuid() == 0);
  command.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
  command.insert(command.end(), arguments_of_worker.begin(), arguments_of_worker.end());
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  execv(mpirun.c_str(), arguments.data());
  return absl::InternalError(
      fmt::format("could not start {}: {}", mpirun.string(), strerror(errno)));
}

}  // namespace tanren::trainer
