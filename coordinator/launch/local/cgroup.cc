#include "coordinator/launch/local/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <string>

#include "coordinator/launch/process_table.h"
#include "fmt/format.h"
#include "runtime/base/descriptor.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPeriodUs = 100'000;

absl::Status WriteValue(const fs::path& path, const std::string& value) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.is_open() &&
      write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size())) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      fmt::format("{}: can't be set to {}: {}", path.string(), value, std::strerror(errno)));
}

// Where version 2 is mounted; empty: nowhere.
fs::path MountPoint() {
  std::istringstream lines(ProcText("/proc/self/mounts"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string device, place, type;
    words >> device >> place >> type;
    if (type == "cgroup2") return place;
  }
  return {};
}

fs::path OwnCgroup() {
  const fs::path mount = MountPoint();
  std::istringstream lines(ProcText("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    if (!mount.empty() && line.starts_with("0::/")) return mount / line.substr(4);
  }
  return {};
}

bool HasWord(const std::string& text, const std::string& wanted) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<fs::path> LimitingCgroup(const std::vector<pid_t>& own) {
  const fs::path cgroup = OwnCgroup();
  if (cgroup.empty()) return absl::UnavailableError("there are no control groups of version 2");
  const std::string controllers = ProcText(cgroup / "cgroup.controllers");
  if (!HasWord(controllers, "cpu") || !HasWord(controllers, "memory")) {
    return absl::UnavailableError(
        fmt::format("{} has no controllers for CPU and memory", cgroup.string()));
  }
  const fs::path leaf = cgroup / "tanren-agent";
  if (mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't be made", leaf.string()));
  }
  for (const pid_t process : own) TANREN_RETURN_IF_ERROR(EnterCgroup(leaf, process));
  TANREN_RETURN_IF_ERROR(WriteValue(cgroup / "cgroup.subtree_control", "+cpu +memory"));
  return cgroup;
}

absl::StatusOr<fs::path> MakeCgroup(const fs::path& parent, const std::string& name,
                                    const Resources& limits) {
  const fs::path cgroup = parent / name;
  if (mkdir(cgroup.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't be made", cgroup.string()));
  }
  if (limits.cpu_millis() > 0) {
    const int64_t quota = std::max<int64_t>(limits.cpu_millis() * kPeriodUs / 1000, 1000);
    TANREN_RETURN_IF_ERROR(WriteValue(cgroup / "cpu.max", fmt::format("{} {}", quota, kPeriodUs)));
  }
  if (limits.memory_bytes() > 0) {
    TANREN_RETURN_IF_ERROR(
        WriteValue(cgroup / "memory.max", fmt::format("{}", limits.memory_bytes())));
  }
  return cgroup;
}

absl::Status EnterCgroup(const fs::path& cgroup, pid_t process) {
  return WriteValue(cgroup / "cgroup.procs", fmt::format("{}", process));
}

void RemoveCgroup(const fs::path& cgroup) { rmdir(cgroup.c_str()); }

}  // namespace tanren::coordinator
