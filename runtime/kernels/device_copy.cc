#include "runtime/kernels/device_copy.h"

#include <ATen/ATen.h>

namespace tanren::kernels {

at::Tensor ToDevice(const at::Tensor& tensor, at::Device device) {
  if (device.is_cpu() || !tensor.is_cpu()) return tensor.to(device);
  // Nothing can be pinned, nor is there anything to wait for.
  if (tensor.numel() == 0) return at::empty(tensor.sizes(), tensor.options().device(device));
  return tensor.pin_memory().to(device, /*non_blocking=*/true);
}

at::Tensor ToHost(const at::Tensor& tensor) { return tensor.cpu(); }

}  // namespace tanren::kernels
