// What a GPU can do that a kernel's choice, or a precision's, rests on.
#ifndef TANREN_RUNTIME_KERNELS_DEVICE_FEATURES_H_
#define TANREN_RUNTIME_KERNELS_DEVICE_FEATURES_H_

#include <c10/core/Device.h>

namespace tanren::kernels {

// The device's compute capability as ten times its major number plus its minor one: 75 for a T4, 80
// for an A100, 90 for an H100. 0 for what is no CUDA device. A device without an index is the
// current one.
int ComputeCapability(c10::Device device);

// The first whose matrix units take bf16.
inline constexpr int kFirstWithBf16 = 80;

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_DEVICE_FEATURES_H_
