// Of NVML what runtime/base/gpu_probe.cc asks about links: four GPUs of which NVLink joins 0 with 2
// and 2 with 3.
#include <cstdint>

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 4;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = reinterpret_cast<void*>(uintptr_t{index} + 1);
  return 0;
}
int nvmlDeviceGetP2PStatus(void* a, void* b, int capability, int* status) {
  constexpr int kNvlink = 2;
  constexpr int kNotSupported = 5;
  const auto first = reinterpret_cast<uintptr_t>(a) - 1;
  const auto second = reinterpret_cast<uintptr_t>(b) - 1;
  const bool linked = (first == 0 && second == 2) || (first == 2 && second == 3);
  *status = capability == kNvlink && linked ? 0 : kNotSupported;
  return 0;
}

}  // extern "C"
