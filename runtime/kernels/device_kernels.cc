#include "runtime/kernels/device_kernels.h"

#include "runtime/device/cuda_module.h"

namespace tanren::kernels {
namespace {

const DeviceKernels* LoadedKernels() {
  static const DeviceKernels* const kernels = []() -> const DeviceKernels* {
    const device::CudaModule* const module = device::LoadedCudaModule();
    if (module == nullptr) return nullptr;
    return module->EntryPoint<DeviceKernels*()>(device::kKernelsEntryPoint)();
  }();
  return kernels;
}

}  // namespace

const DeviceKernels* DeviceKernelsFor(const at::Tensor& x) {
  if (!x.is_cuda()) return nullptr;
  const at::ScalarType dtype = x.scalar_type();
  const bool taken = dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16;
  return taken ? LoadedKernels() : nullptr;
}

}  // namespace tanren::kernels
