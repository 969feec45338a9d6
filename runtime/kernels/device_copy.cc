#include "runtime/kernels/device_copy.h"

#include <ATen/ATen.h>

#include "runtime/kernels/device_kernels.h"

namespace tanren::kernels {

at::Tensor ToDevice(const at::Tensor& tensor, at::Device device) {
  if (device.is_cpu() || !tensor.is_cpu()) return tensor.to(device);
  // Nothing can be pinned, nor is there anything to wait for.
  if (tensor.numel() == 0) return at::empty(tensor.sizes(), tensor.options().device(device));
  return tensor.pin_memory().to(device, /*non_blocking=*/true);
}

void Assign(const at::Tensor& to, const at::Tensor& from) {
  const DeviceKernels* const device = DeviceKernelsFor(from);
  const bool converts = device != nullptr && device == DeviceKernelsFor(to) &&
                        from.scalar_type() != to.scalar_type() && from.is_contiguous() &&
                        to.is_contiguous() && from.device() == to.device() &&
                        from.numel() == to.numel();
  if (converts) {
    device->Convert(from, to);
  } else {
    at::Tensor(to).copy_(from);
  }
}

at::Tensor ToHost(const at::Tensor& tensor) { return tensor.cpu(); }

}  // namespace tanren::kernels
