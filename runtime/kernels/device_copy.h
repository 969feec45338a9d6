// Copies between the host and a device, so that a training step waits for the device only where it
// says so: a GPU that is waited for has nothing to do until the processor has launched more.
#ifndef TANREN_RUNTIME_KERNELS_DEVICE_COPY_H_
#define TANREN_RUNTIME_KERNELS_DEVICE_COPY_H_

#include <ATen/core/Tensor.h>

namespace tanren::kernels {

// `tensor` on `device`; the tensor itself where it lies there. From the host it goes through pinned
// memory, which is kept until the copy is done, so that nobody waits: later work on the current
// stream sees the values.
at::Tensor ToDevice(const at::Tensor& tensor, at::Device device);

// A copy on the host; the tensor itself where it lies there. Waits for the device: who calls it in
// a step says why, and tests/trainer/loop/device_step_test.cc counts it.
at::Tensor ToHost(const at::Tensor& tensor);

// to.copy_(from), both of one device and size; between two dtypes on a GPU at the speed of its
// memory.
void Assign(const at::Tensor& to, const at::Tensor& from);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_DEVICE_COPY_H_
