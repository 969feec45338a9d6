// What runtime/device/cuda_module.h asks a module first.
#include <cuda_runtime_api.h>

#include "runtime/device/cuda_module.h"

extern "C" {

__attribute__((visibility("default"))) int tanren_cuda_version() {
  return tanren::device::kCudaModuleVersion;
}

__attribute__((visibility("default"))) int tanren_cuda_devices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}
}
