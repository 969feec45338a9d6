// What this machine has to train with, found without libtorch, and a table of it for people
// (`tanren-worker doctor`).
#ifndef TANREN_RUNTIME_BASE_MACHINE_H_
#define TANREN_RUNTIME_BASE_MACHINE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/gpu_probe.h"
#include "runtime/base/kernel_files.h"

namespace tanren {

struct DiskInfo {
  std::filesystem::path path;
  uint64_t free_bytes = 0;  // what a user without privileges can still write
  uint64_t total_bytes = 0;
};

struct MpiInfo {
  std::filesystem::path mpirun;  // empty: none in PATH
  std::string version;           // "Open MPI 4.1.4"; empty if mpirun does not tell
};

struct Machine {
  std::string system;  // "Debian GNU/Linux 12 (bookworm)"
  std::string kernel;  // "6.1.0-18-amd64"
  std::string glibc;   // "2.36"
  CpuInfo cpu;
  int affinity_cores = 0;  // logical cores that this process may run on
  CgroupLimits cgroup;
  MemoryInfo memory;
  std::string transparent_huge_pages;     // "always", "madvise", "never"
  std::optional<DiskInfo> shared_memory;  // /dev/shm, which MPI and NCCL use on one host
  std::vector<DiskInfo> disks;            // one for each path asked for that exists
  GpuProbe gpus;
  std::string visible_gpus;  // CUDA_VISIBLE_DEVICES; empty if unset
  MpiInfo mpi;
  std::vector<std::string> infiniband;  // names of RDMA devices

  // How many threads can really run at once: the tightest of affinity and quota, at least 1.
  int UsableCores() const;
  // Bytes that can still be taken: the tighter of the machine and the control group.
  uint64_t AvailableMemory() const;
};

// Asks the system; takes about 0.1 s, most of it `mpirun --version`. What can't be found out stays
// empty. `disks` are the folders whose free space is of interest; one that is not there yet is
// answered for by the folder that would hold it.
Machine ProbeMachine(std::span<const std::filesystem::path> disks);

// What Machine::AvailableMemory says, asked of the kernel now and without the rest of a probe.
uint64_t AvailableMemoryNow();

// Bytes by which this process may still grow until its own limit (ulimit -v); the largest number
// where there is none.
uint64_t AddressSpaceLeft();

// The version that an NCCL library says it has, "2.28.9". kNotFound if it can't be loaded.
absl::StatusOr<std::string> NcclVersion(const std::filesystem::path& library);

// The first program of that name in PATH; empty if there is none.
std::filesystem::path FindProgram(const std::string& name);

// One line of the doctor's table.
struct Finding {
  enum class State {
    kOk,
    kNote,     // works, but slower or less than it could be
    kMissing,  // something will not run
  };
  State state = State::kOk;
  std::string subject;  // "memory"
  std::string found;    // "23.5 GiB, 20.1 GiB free"
  std::string advice;   // what to do; empty if nothing
};

// What a run on this machine should know, in reading order.
std::vector<Finding> Examine(const Machine& machine);

// The findings as a table, each advice below its line, and a last line that counts what is missing.
std::string RenderFindings(std::span<const Finding> findings);

// "23.5 GiB", "512 MiB".
std::string FormatBytes(uint64_t bytes);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_MACHINE_H_
