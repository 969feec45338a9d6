#include "coordinator/launch/local/hang_report.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>

#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/process_table.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/descriptor.h"
#include "runtime/base/error.h"
#include "runtime/base/machine.h"
#include "runtime/telemetry/flight_explanation.h"
#include "runtime/telemetry/flight_recorder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDebuggerMs = 15'000;
constexpr size_t kLongestText = 4 << 20;
constexpr size_t kMostProcesses = 256;

// What the debugger prints in its time; nothing where there is none.
std::string FramesOf(pid_t process) {
  const fs::path debugger = FindProgram("gdb");
  int ends[2];
  if (debugger.empty() || pipe2(ends, O_CLOEXEC) != 0) return "";
  const Descriptor output(ends[0]);
  Descriptor input(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    dup2(input.get(), STDOUT_FILENO);
    dup2(input.get(), STDERR_FILENO);
    const std::string number = std::to_string(process);
    // Nothing that the program's own files say is run.
    execl(debugger.c_str(), "gdb", "-nx", "-iex", "set auto-load off", "-batch", "-p",
          number.c_str(), "-ex", "thread apply all backtrace 64", nullptr);
    _exit(127);
  }
  input.Close();
  const int64_t until = SteadyMs() + kDebuggerMs;
  std::string text;
  while (text.size() < kLongestText) {
    pollfd ready = {.fd = output.get(), .events = POLLIN, .revents = 0};
    const int64_t left = until - SteadyMs();
    if (left <= 0 || poll(&ready, 1, static_cast<int>(left)) <= 0) break;
    char piece[4096];
    const ssize_t size = read(output.get(), piece, sizeof(piece));
    if (size <= 0) break;
    text.append(piece, static_cast<size_t>(size));
  }
  // (A killed debugger lets go of the process.)
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return text;
}

absl::Status WriteText(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file.good()) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("{}: can't be written", path.string()));
}

}  // namespace

std::string StacksOf(pid_t process) {
  const fs::path folder = fmt::format("/proc/{}", process);
  std::string command = ProcText(folder / "cmdline");
  std::replace(command.begin(), command.end(), '\0', ' ');
  std::string text = fmt::format("process {}: {}\n", process, command);
  std::string environment = '\0' + ProcText(folder / "environ");
  for (const char* name : {"OMPI_COMM_WORLD_RANK=", "TANREN_ROLE="}) {
    const size_t at = environment.find('\0' + std::string(name));
    if (at != std::string::npos) text += std::string(environment.c_str() + at + 1) + "\n";
  }
  std::error_code error;
  for (fs::directory_iterator it(folder / "task", error), end; !error && it != end;
       it.increment(error)) {
    text += fmt::format("\nthread {}\n", it->path().filename().string());
    for (const char* name : {"comm", "wchan", "syscall", "stack", "status"}) {
      text += fmt::format("{}: {}\n", name, ProcText(it->path() / name));
    }
  }
  const std::string frames = FramesOf(process);
  return text + (frames.empty() ? "" : "\nframes, as gdb sees them\n" + frames);
}

absl::Status WriteHangReport(const fs::path& attempt, const std::string& node,
                             const std::vector<pid_t>& processes, const UserIds& user) {
  std::map<pid_t, std::string> stacks;
  for (const pid_t process : processes) {
    if (stacks.size() < kMostProcesses) stacks[process] = StacksOf(process);
  }
  TANREN_RETURN_IF_ERROR(BecomeUser(user));
  const fs::path folder = attempt / "hang";
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't be made", folder.string()));
  }
  for (const auto& [process, text] : stacks) {
    TANREN_RETURN_IF_ERROR(
        WriteText(folder / fmt::format("{}.process-{}.txt", node, process), text));
  }
  absl::StatusOr<std::vector<telemetry::FlightRecord>> records =
      telemetry::ReadFlightRecords(attempt / "flight");
  if (!records.ok() || records->empty()) return absl::OkStatus();
  return WriteText(folder / (node + ".verdict.txt"), telemetry::Explain(*records) + "\n");
}

}  // namespace tanren::coordinator
