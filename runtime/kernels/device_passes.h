// The passes of row_passes.h on devices, without a graph: by the kernels of device_kernels.h, or,
// on a device that has none, composed of ATen's operations.
#ifndef TANREN_RUNTIME_KERNELS_DEVICE_PASSES_H_
#define TANREN_RUNTIME_KERNELS_DEVICE_PASSES_H_

#include "runtime/kernels/row_passes.h"

namespace tanren::kernels {

Normed DeviceNormForward(const at::Tensor& x, const at::Tensor& weight_D, double epsilon);
NormDerivatives DeviceNormBackward(const at::Tensor& x, const at::Tensor& weight_D,
                                   const at::Tensor& inverse_rms, const at::Tensor& d_out);
at::Tensor DeviceGateForward(const at::Tensor& gate, const at::Tensor& up);
GateDerivatives DeviceGateBackward(const at::Tensor& gate, const at::Tensor& up,
                                   const at::Tensor& d_out, const at::Tensor& out);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_DEVICE_PASSES_H_
