#include "coordinator/client/worker_commands.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <vector>

#include "coordinator/client/exit_codes.h"
#include "fmt/format.h"
#include "runtime/base/machine.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 14> kCommands = {
    "train", "resume", "generate", "chat",   "evaluate", "score",  "convert",
    "plan",  "data",   "report",   "recipe", "doctor",   "render", "tokenize"};

}  // namespace

bool IsWorkerCommand(const std::string& name) {
  return std::find(kCommands.begin(), kCommands.end(), name) != kCommands.end();
}

std::string WorkerCommandsHelp() {
  std::string text = "On this machine alone, by tanren-worker:";
  for (const std::string_view command : kCommands) text += fmt::format(" {}", command);
  return text + "\n\n";
}

absl::StatusOr<fs::path> FindSibling(const std::string& name) {
  std::error_code error;
  const fs::path own = fs::read_symlink("/proc/self/exe", error);
  // Beside it where it is installed; in the build folder, each program has a folder of its own.
  for (const fs::path& folder :
       {own.parent_path(), own.parent_path() / "../server", own.parent_path() / "../agent",
        own.parent_path() / "../../trainer"}) {
    const fs::path candidate = (folder / name).lexically_normal();
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  fs::path in_path = FindProgram(name);
  if (!in_path.empty()) return in_path;
  return absl::NotFoundError(
      fmt::format("{} is neither beside {} nor in PATH: build or install it", name, own.string()));
}

int BecomeWorker(int argc, char** argv) {
  const auto worker = FindSibling("tanren-worker");
  if (!worker.ok()) {
    fmt::print(stderr, "tanren: {}\n", std::string(worker.status().message()));
    return kWrongUse;
  }
  std::vector<char*> arguments(argv, argv + argc);
  arguments.push_back(nullptr);
  const std::string path = worker->string();
  arguments[0] = const_cast<char*>(path.c_str());
  execv(path.c_str(), arguments.data());
  fmt::print(stderr, "tanren: {}: {}\n", path, strerror(errno));
  return kWrongUse;
}

}  // namespace tanren::coordinator
