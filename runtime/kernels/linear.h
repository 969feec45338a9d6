// The affine map of a layer.
#ifndef TANREN_RUNTIME_KERNELS_LINEAR_H_
#define TANREN_RUNTIME_KERNELS_LINEAR_H_

#include <ATen/core/Tensor.h>

namespace tanren::kernels {

// x · weightᵀ (+ bias). `x` [..., D], `weight_OD` [O, D], `bias_O` [O] or undefined, all of one
// dtype; the result [..., O] has it too, and sums are fp32. Differentiable in all three. A few rows
// without a graph (generation) cost one reading of the weight.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight_OD, const at::Tensor& bias_O = {});

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_LINEAR_H_
