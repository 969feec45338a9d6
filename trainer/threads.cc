#include "trainer/threads.h"

#include <ATen/Parallel.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "runtime/base/file.h"
#include "runtime/base/kernel_files.h"

namespace tanren::trainer {
namespace {

int AffinityCores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

int UsableCores() {
  int cores = AffinityCores();
  const CgroupLimits limits =
      ReadCgroupLimits(ReadFile("/proc/self/cgroup").value_or(""), "/sys/fs/cgroup");
  if (limits.cores) cores = std::min(cores, static_cast<int>(std::ceil(*limits.cores)));
  return std::max(1, cores);
}

int RanksOnThisHost() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE"}) {
    const char* value = std::getenv(name);
    int ranks = 0;
    if (value != nullptr && absl::SimpleAtoi(value, &ranks) && ranks > 0) return ranks;
  }
  return 1;
}

void UseThreads(int asked) {
  int threads = asked;
  if (threads == 0) {
    const bool bound = AffinityCores() < static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    threads = bound ? UsableCores() : UsableCores() / RanksOnThisHost();
  }
  at::set_num_threads(std::max(1, threads));
}

}  // namespace tanren::trainer
