#include "runtime/base/gpu_probe.h"

#include <dlfcn.h>

#include <filesystem>
#include <memory>

#include "fmt/format.h"

namespace tanren {
namespace {

// The part of NVML's stable C interface that is asked here
// (https://docs.nvidia.com/deploy/nvml-api): every function returns 0 for success.
using Device = void*;
struct Memory {
  unsigned long long total, free, used;
};

class Nvml {
 public:
  explicit Nvml(const std::string& path)
      : library_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL), [](void* library) {
          if (library != nullptr) dlclose(library);
        }) {}

  bool loaded() const { return library_ != nullptr; }

  // Calls the function of that name; its own code, or -1 if this driver has no such function.
  template <typename... Args>
  int Call(const char* name, Args... args) const {
    auto* function = reinterpret_cast<int (*)(Args...)>(dlsym(library_.get(), name));
    return function == nullptr ? -1 : function(args...);
  }

 private:
  std::unique_ptr<void, void (*)(void*)> library_;
};

GpuInfo Describe(const Nvml& nvml, Device device) {
  GpuInfo gpu;
  char name[96] = "";
  if (nvml.Call("nvmlDeviceGetName", device, &name[0], unsigned{sizeof(name)}) == 0) {
    gpu.name = name;
  }
  Memory memory{};
  if (nvml.Call("nvmlDeviceGetMemoryInfo", device, &memory) == 0) {
    gpu.memory_bytes = memory.total;
    gpu.memory_free_bytes = memory.free;
  }
  nvml.Call("nvmlDeviceGetCudaComputeCapability", device, &gpu.compute_major, &gpu.compute_minor);
  return gpu;
}

// Each GPU starts as an island of its own; a link joins two.
void FindIslands(const Nvml& nvml, const std::vector<Device>& devices, GpuProbe& probe) {
  constexpr int kNvlink = 2;  // NVML_P2P_CAPS_INDEX_NVLINK
  constexpr int kLinked = 0;  // NVML_P2P_STATUS_OK
  std::vector<GpuInfo>& gpus = probe.gpus;
  for (size_t i = 0; i < gpus.size(); ++i) gpus[i].island = static_cast<int>(i);
  for (size_t a = 0; a < gpus.size(); ++a) {
    for (size_t b = a + 1; b < gpus.size(); ++b) {
      int status = -1;
      const int code =
          nvml.Call("nvmlDeviceGetP2PStatus", devices[a], devices[b], kNvlink, &status);
      if (code != 0 || status != kLinked || gpus[a].island == gpus[b].island) continue;
      const int joined = gpus[a].island;
      const int left = gpus[b].island;
      for (GpuInfo& gpu : gpus) {
        if (gpu.island == left) gpu.island = joined;
      }
    }
  }
}

void ListGpus(const Nvml& nvml, GpuProbe& probe) {
  char version[96] = "";
  if (nvml.Call("nvmlSystemGetDriverVersion", &version[0], unsigned{sizeof(version)}) == 0) {
    probe.driver_version = version;
  }
  int cuda = 0;  // 1000 · major + 10 · minor
  if (nvml.Call("nvmlSystemGetCudaDriverVersion_v2", &cuda) == 0) {
    probe.cuda_version = fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10);
  }
  unsigned count = 0;
  if (const int code = nvml.Call("nvmlDeviceGetCount_v2", &count); code != 0) {
    probe.problem = fmt::format("NVML can't count the GPUs: error {}", code);
    return;
  }
  std::vector<Device> devices;
  for (unsigned index = 0; index < count; ++index) {
    Device device = nullptr;
    if (const int code = nvml.Call("nvmlDeviceGetHandleByIndex_v2", index, &device); code != 0) {
      probe.problem = fmt::format("NVML can't open GPU {}: error {}", index, code);
      continue;
    }
    probe.gpus.push_back(Describe(nvml, device));
    devices.push_back(device);
  }
  FindIslands(nvml, devices, probe);
}

}  // namespace

GpuProbe ProbeGpus(const std::string& nvml_path) {
  GpuProbe probe;
  std::error_code ignored;
  probe.driver_found = std::filesystem::exists("/proc/driver/nvidia/version", ignored);
  const Nvml nvml(nvml_path);
  if (!nvml.loaded()) {
    if (probe.driver_found) {
      probe.problem = fmt::format("the NVIDIA driver runs, but {} can't be loaded", nvml_path);
    }
    return probe;
  }
  if (const int code = nvml.Call("nvmlInit_v2"); code != 0) {
    // The library without a running driver is what a container image may hold.
    probe.problem = fmt::format("{} is here, but NVML does not start: error {}", nvml_path, code);
    return probe;
  }
  probe.driver_found = true;
  ListGpus(nvml, probe);
  nvml.Call("nvmlShutdown");
  return probe;
}

}  // namespace tanren
