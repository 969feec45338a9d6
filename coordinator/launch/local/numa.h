// Which CPUs are near a GPU.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_NUMA_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_NUMA_H_

#include <filesystem>
#include <vector>

namespace tanren::coordinator {

// Logical CPUs of the memory node that the GPU (numbered by its place on the PCI bus) hangs on, as
// /proc and /sys below `root` tell. Empty where that isn't known, or there is only one node.
std::vector<int> CpusNearGpu(int gpu, const std::filesystem::path& root = "/");

// The GPU that the `local_rank`-th of `ranks` uses first; -1: it has none.
int FirstGpuOf(const std::vector<int>& gpus, int ranks, int local_rank);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_NUMA_H_
