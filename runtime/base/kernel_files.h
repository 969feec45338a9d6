// What Linux says about a machine in text files under /proc and /sys, read from strings so that any
// machine's files can be tested. Sizes are bytes. A field that the text does not hold stays 0 or
// empty.
#ifndef TANREN_RUNTIME_BASE_KERNEL_FILES_H_
#define TANREN_RUNTIME_BASE_KERNEL_FILES_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tanren {

struct CpuInfo {
  std::string model;
  int logical_cores = 0;   // what the kernel runs on, with hyper-threads
  int physical_cores = 0;  // 0 where the kernel does not tell (some virtual machines)
  int sockets = 0;
  std::vector<std::string> flags;  // every flag of the first core, sorted

  bool Has(std::string_view flag) const;
};

// /proc/cpuinfo.
CpuInfo ParseCpuInfo(std::string_view text);

struct MemoryInfo {
  uint64_t total = 0;
  uint64_t available = 0;   // what programs can take without swapping
  uint64_t huge_pages = 0;  // bytes in reserved huge pages
};

// /proc/meminfo.
MemoryInfo ParseMemoryInfo(std::string_view text);

// The choice in brackets, as in "always [madvise] never"; empty if there is none.
std::string ParseBracketed(std::string_view text);

// What a control group lets its processes have; no value where it sets no limit.
struct CgroupLimits {
  std::optional<double> cores;
  std::optional<uint64_t> memory;
  // How much of `memory` is in use, not counting file pages that can be dropped.
  uint64_t memory_used = 0;
};

// cpu.max of cgroup v2, "150000 100000" (microseconds of a period) or "max 100000": in cores.
std::optional<double> ParseCpuMax(std::string_view text);
// cpu.cfs_quota_us and cpu.cfs_period_us of cgroup v1; a quota of -1 is no limit.
std::optional<double> ParseCfsQuota(std::string_view quota, std::string_view period);
// memory.max (v2) or memory.limit_in_bytes (v1); "max" and v1's huge number are no limit.
std::optional<uint64_t> ParseMemoryLimit(std::string_view text);

// The tightest limits of the process's groups and of the groups around them, v2 and v1.
// `membership` is the text of /proc/self/cgroup, `mount` the folder /sys/fs/cgroup. Inside a
// container the named folders may be missing there: then the mount's own files count.
CgroupLimits ReadCgroupLimits(std::string_view membership, const std::filesystem::path& mount);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_KERNEL_FILES_H_
