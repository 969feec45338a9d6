// The functions of NVML that runtime/base/gpu_probe.cc asks, for a machine with a T4 and a GPU that
// has fallen off the bus.
#include <cstring>

#ifndef FAKE_NVML_INIT
#define FAKE_NVML_INIT 0
#endif

namespace {
struct Memory {
  unsigned long long total, free, used;
};
constexpr int kGpuIsLost = 15;
int the_t4;
}  // namespace

extern "C" {

int nvmlInit_v2() { return FAKE_NVML_INIT; }
int nvmlShutdown() { return 0; }
int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  std::strncpy(version, "580.65.06", length);
  return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  *version = 13020;
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index != 0) return kGpuIsLost;
  *device = &the_t4;
  return 0;
}
int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  if (device != &the_t4) return kGpuIsLost;
  std::strncpy(name, "Tesla T4", length);
  return 0;
}
int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  if (device != &the_t4) return kGpuIsLost;
  *memory = {16ull << 30, 15ull << 30, 1ull << 30};
  return 0;
}
int nvmlDeviceGetCudaComputeCapability(void* device, int* major, int* minor) {
  if (device != &the_t4) return kGpuIsLost;
  *major = 7;
  *minor = 5;
  return 0;
}

}  // extern "C"
