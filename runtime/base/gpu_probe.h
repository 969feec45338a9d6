// The NVIDIA GPUs of this machine, asked of the driver's management library (NVML), which comes
// with the driver: no CUDA toolkit, no libtorch, and no context on a GPU is made.
#ifndef TANREN_RUNTIME_BASE_GPU_PROBE_H_
#define TANREN_RUNTIME_BASE_GPU_PROBE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tanren {

struct GpuInfo {
  std::string name;
  uint64_t memory_bytes = 0;
  uint64_t memory_free_bytes = 0;
  int compute_major = 0;  // compute capability, 7.5 for a T4
  int compute_minor = 0;
  int island = 0;  // GPUs with the same number are joined by NVLink, directly or through others
};

struct GpuProbe {
  bool driver_found = false;
  std::string driver_version;  // "580.65.06"
  std::string cuda_version;    // the newest CUDA that the driver runs, "13.0"
  std::vector<GpuInfo> gpus;   // all of the machine's, whatever CUDA_VISIBLE_DEVICES says
  std::string problem;         // why the GPUs could not be listed although there is a driver
};

// `nvml` is the library to load: a name that the dynamic linker finds, or a path.
GpuProbe ProbeGpus(const std::string& nvml = "libnvidia-ml.so.1");

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_GPU_PROBE_H_
