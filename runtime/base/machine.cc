#include "runtime/base/machine.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <system_error>

#include "fmt/format.h"
#include "runtime/base/file.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;

std::string TextOf(const fs::path& path) { return ReadFile(path, 64 << 20).value_or(""); }

// PRETTY_NAME="…" of /etc/os-release.
std::string SystemName() {
  std::istringstream lines(TextOf("/etc/os-release"));
  constexpr std::string_view kKey = "PRETTY_NAME=";
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kKey)) continue;
    std::string name = line.substr(kKey.size());
    std::erase(name, '"');
    return name;
  }
  return "Linux";
}

std::string KernelRelease() {
  utsname names{};
  return uname(&names) == 0 ? names.release : "";
}

// A plain cpu_set_t holds 1024 cores; a larger machine needs a larger set.
int AffinityCores() {
  for (int capacity = CPU_SETSIZE; capacity <= 1 << 16; capacity *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(
        CPU_ALLOC(capacity), [](cpu_set_t* allocated) { CPU_FREE(allocated); });
    if (set == nullptr) return 0;
    if (sched_getaffinity(0, CPU_ALLOC_SIZE(capacity), set.get()) == 0) {
      return CPU_COUNT_S(CPU_ALLOC_SIZE(capacity), set.get());
    }
  }
  return 0;
}

std::optional<DiskInfo> Disk(fs::path path) {
  std::error_code error;
  path = fs::absolute(path, error).lexically_normal();
  while (!fs::exists(path, error) && path.has_relative_path()) path = path.parent_path();
  const fs::space_info space = fs::space(path, error);
  if (error) return std::nullopt;
  return DiskInfo{path, space.available, space.capacity};
}

// The first line that a command prints; empty if it fails.
std::string FirstLineOf(const char* command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command, "re"), pclose);
  char line[256] = "";
  if (pipe == nullptr || fgets(line, sizeof(line), pipe.get()) == nullptr) return {};
  std::string text = line;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

// "mpirun (Open MPI) 4.1.4" and "HYDRA build details:" are what the two families print.
MpiInfo Mpi() {
  MpiInfo mpi;
  mpi.mpirun = FindProgram("mpirun");
  if (mpi.mpirun.empty()) return mpi;
  const std::string line = FirstLineOf("mpirun --version 2>/dev/null");
  const size_t open = line.find('('), close = line.find(") ");
  if (open != std::string::npos && close != std::string::npos && open < close) {
    mpi.version = line.substr(open + 1, close - open - 1) + line.substr(close + 1);
  } else {
    mpi.version = line;
  }
  return mpi;
}

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

fs::path FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder) / name;
    std::error_code error;
    if (fs::is_regular_file(candidate, error) && access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  return {};
}

absl::StatusOr<std::string> NcclVersion(const fs::path& path) {
  const std::unique_ptr<void, void (*)(void*)> library(dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL),
                                                       [](void* handle) {
                                                         if (handle != nullptr) dlclose(handle);
                                                       });
  if (library == nullptr) {
    return absl::NotFoundError(fmt::format("{}: can't be loaded: {}", path.string(), dlerror()));
  }
  auto* get = reinterpret_cast<int (*)(int*)>(dlsym(library.get(), "ncclGetVersion"));
  int version = 0;  // 10000 · major + 100 · minor + patch
  if (get == nullptr || get(&version) != 0) {
    return absl::NotFoundError(fmt::format("{}: does not tell NCCL's version", path.string()));
  }
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

int Machine::UsableCores() const {
  int cores = affinity_cores > 0 ? affinity_cores : cpu.logical_cores;
  // Half a core still runs a thread.
  if (cgroup.cores) cores = std::min(cores, static_cast<int>(std::ceil(*cgroup.cores)));
  return std::max(cores, 1);
}

uint64_t Machine::AvailableMemory() const {
  if (!cgroup.memory) return memory.available;
  const uint64_t left = *cgroup.memory - std::min(*cgroup.memory, cgroup.memory_used);
  return std::min(memory.available, left);
}

uint64_t AvailableMemoryNow() {
  Machine machine;
  machine.cgroup = ReadCgroupLimits(TextOf("/proc/self/cgroup"), "/sys/fs/cgroup");
  machine.memory = ParseMemoryInfo(TextOf("/proc/meminfo"));
  return machine.AvailableMemory();
}

uint64_t AddressSpaceLeft() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  // The first number of statm is the size in pages.
  const uint64_t used = std::strtoull(TextOf("/proc/self/statm").c_str(), nullptr, 10) *
                        static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

Machine ProbeMachine(std::span<const fs::path> disks) {
  Machine machine;
  machine.system = SystemName();
  machine.kernel = KernelRelease();
  machine.glibc = gnu_get_libc_version();
  machine.cpu = ParseCpuInfo(TextOf("/proc/cpuinfo"));
  machine.affinity_cores = AffinityCores();
  machine.cgroup = ReadCgroupLimits(TextOf("/proc/self/cgroup"), "/sys/fs/cgroup");
  machine.memory = ParseMemoryInfo(TextOf("/proc/meminfo"));
  machine.transparent_huge_pages =
      ParseBracketed(TextOf("/sys/kernel/mm/transparent_hugepage/enabled"));
  if (std::error_code error; fs::exists("/dev/shm", error))
    machine.shared_memory = Disk("/dev/shm");
  for (const fs::path& path : disks) {
    if (std::optional<DiskInfo> disk = Disk(path)) machine.disks.push_back(*std::move(disk));
  }
  machine.gpus = ProbeGpus();
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) machine.visible_gpus = visible;
  machine.mpi = Mpi();
  machine.infiniband = NamesIn("/sys/class/infiniband");
  return machine;
}

}  // namespace tanren
