#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "runtime/base/machine.h"

namespace tanren {
namespace {

using State = Finding::State;

constexpr uint64_t kGiB = uint64_t{1} << 30;

Finding System(const Machine& machine) {
  return {State::kOk, "system",
          fmt::format("{}, kernel {}, glibc {}", machine.system, machine.kernel, machine.glibc),
          ""};
}

Finding Processor(const Machine& machine) {
  const CpuInfo& cpu = machine.cpu;
  std::string found =
      fmt::format("{}, {} of {} cores usable", cpu.model, machine.UsableCores(), cpu.logical_cores);
  if (machine.cgroup.cores) found += fmt::format(" (a quota of {:.1f})", *machine.cgroup.cores);
  Finding finding{State::kOk, "processor", std::move(found), ""};
  if (machine.UsableCores() < cpu.logical_cores) {
    finding.state = State::kNote;
    finding.advice =
        "this process may not use all cores: give it more with taskset, Slurm's "
        "--cpus-per-task or the container's CPU limit";
  }
  return finding;
}

// The instruction sets that kernels here or in libtorch choose between, by Linux's names for them.
Finding Instructions(const CpuInfo& cpu) {
  constexpr std::array kOfInterest = {"avx2",        "fma",      "f16c",        "avx_vnni",
                                      "avx512f",     "avx512bw", "avx512_vnni", "avx512_bf16",
                                      "avx512_fp16", "amx_bf16", "amx_int8"};
  std::vector<std::string_view> present;
  for (const char* flag : kOfInterest) {
    if (cpu.Has(flag)) present.push_back(flag);
  }
  Finding finding{State::kOk, "instructions", fmt::format("{}", fmt::join(present, " ")), ""};
  if (!cpu.Has("avx2")) {
    finding.state = State::kMissing;
    if (present.empty()) finding.found = "no AVX2";
    finding.advice =
        "Tanren's CPU kernels need AVX2 and FMA: take an x86-64 processor of 2015 or later";
  } else if (!cpu.Has("avx512_bf16") && !cpu.Has("amx_bf16")) {
    finding.state = State::kNote;
    finding.advice = "no bf16 products in hardware: fp32 is the faster compute type on this CPU";
  }
  return finding;
}

Finding Memory(const Machine& machine) {
  std::string found = fmt::format("{}, {} free", FormatBytes(machine.memory.total),
                                  FormatBytes(machine.AvailableMemory()));
  if (machine.cgroup.memory) {
    found += fmt::format(" (limited to {})", FormatBytes(*machine.cgroup.memory));
  }
  Finding finding{State::kOk, "memory", std::move(found), ""};
  if (machine.AvailableMemory() < 4 * kGiB) {
    finding.state = State::kNote;
    finding.advice =
        "full fine-tuning of a 135 M model takes about 4 GiB: end other programs, or "
        "use a smaller batch and recompute";
  }
  return finding;
}

Finding HugePages(const Machine& machine) {
  const std::string& choice = machine.transparent_huge_pages;
  Finding finding{State::kOk, "huge pages", choice.empty() ? "unknown" : choice, ""};
  if (choice == "never") {
    finding.state = State::kNote;
    finding.advice =
        "10-20 % of speed on a CPU: as root, "
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
  }
  return finding;
}

Finding Disk(const DiskInfo& disk) {
  Finding finding{State::kOk, "disk",
                  fmt::format("{}: {} free of {}", disk.path.string(), FormatBytes(disk.free_bytes),
                              FormatBytes(disk.total_bytes)),
                  ""};
  if (disk.free_bytes < 5 * kGiB) {
    finding.state = State::kNote;
    finding.advice =
        "a checkpoint with optimizer state takes 12 bytes for each parameter "
        "(1.6 GB for 135 M): make room, or keep fewer";
  }
  return finding;
}

Finding SharedMemory(const DiskInfo& disk) {
  Finding finding{State::kOk, "shared memory",
                  fmt::format("/dev/shm: {} free", FormatBytes(disk.free_bytes)), ""};
  if (disk.free_bytes < kGiB / 2) {
    finding.state = State::kNote;
    finding.advice =
        "MPI and NCCL pass data through it on one host: start the container with "
        "--shm-size=1g or more";
  }
  return finding;
}

void AddGpus(const Machine& machine, std::vector<Finding>& findings) {
  const GpuProbe& probe = machine.gpus;
  if (!probe.problem.empty()) {
    findings.push_back({State::kNote, "GPUs", probe.problem,
                        "run nvidia-smi; in a container, start it with GPU access"});
  } else if (!probe.driver_found) {
    findings.push_back({State::kOk, "GPUs", "no NVIDIA driver: runs are on the CPU", ""});
    return;
  } else {
    findings.push_back(
        {State::kOk, "GPU driver",
         fmt::format("{}, runs CUDA up to {}", probe.driver_version, probe.cuda_version), ""});
  }
  for (size_t index = 0; index < probe.gpus.size(); ++index) {
    const GpuInfo& gpu = probe.gpus[index];
    Finding finding{
        State::kOk, fmt::format("GPU {}", index),
        fmt::format("{}, {}, {} free, sm_{}{}", gpu.name, FormatBytes(gpu.memory_bytes),
                    FormatBytes(gpu.memory_free_bytes), gpu.compute_major, gpu.compute_minor),
        ""};
    if (gpu.compute_major * 10 + gpu.compute_minor < 75) {
      finding.state = State::kMissing;
      finding.advice = "the CUDA module is built for sm_75 (T4) and later";
    } else if (gpu.compute_major < 8) {
      finding.state = State::kNote;
      finding.advice = "no bf16 on this GPU: choose fp16 with loss scaling";
    }
    findings.push_back(std::move(finding));
  }
  if (!machine.visible_gpus.empty()) {
    findings.push_back({State::kOk, "GPUs visible",
                        fmt::format("CUDA_VISIBLE_DEVICES={}", machine.visible_gpus), ""});
  }
}

Finding Mpi(const MpiInfo& mpi) {
  if (mpi.mpirun.empty()) {
    return {State::kMissing, "MPI", "no mpirun in PATH",
            "runs on several ranks need it: deploy/install.sh, or load your cluster's Open MPI"};
  }
  Finding finding{State::kOk, "MPI", fmt::format("{} ({})", mpi.version, mpi.mpirun.string()), ""};
  if (mpi.version.find("Open MPI") == std::string::npos) {
    finding.state = State::kNote;
    finding.advice = "tried with Open MPI 4.1 only";
  }
  return finding;
}

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  if (bytes >= kGiB) return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / kGiB);
  return fmt::format("{} MiB", bytes >> 20);
}

std::vector<Finding> Examine(const Machine& machine) {
  std::vector<Finding> findings = {System(machine), Processor(machine), Instructions(machine.cpu),
                                   Memory(machine), HugePages(machine)};
  if (machine.shared_memory) findings.push_back(SharedMemory(*machine.shared_memory));
  for (const DiskInfo& disk : machine.disks) findings.push_back(Disk(disk));
  AddGpus(machine, findings);
  findings.push_back(Mpi(machine.mpi));
  if (!machine.infiniband.empty()) {
    findings.push_back(
        {State::kOk, "network", fmt::format("RDMA: {}", fmt::join(machine.infiniband, ", ")), ""});
  }
  return findings;
}

std::string RenderFindings(std::span<const Finding> findings) {
  size_t width = 0;
  size_t missing = 0;
  for (const Finding& finding : findings) {
    width = std::max(width, finding.subject.size());
    missing += finding.state == State::kMissing;
  }
  std::string text;
  for (const Finding& finding : findings) {
    const char* mark = finding.state == State::kOk     ? "ok     "
                       : finding.state == State::kNote ? "note   "
                                                       : "MISSING";
    text += fmt::format("{}  {:<{}}  {}\n", mark, finding.subject, width, finding.found);
    if (!finding.advice.empty())
      text += fmt::format("{:{}}-> {}\n", "", width + 11, finding.advice);
  }
  text += missing == 0 ? "Nothing is missing.\n" : fmt::format("{} missing: see above.\n", missing);
  return text;
}

}  // namespace tanren
