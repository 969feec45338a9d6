// The products that linear layers are made of; not differentiable. Of what Multiply takes.
#ifndef TANREN_RUNTIME_KERNELS_AFFINE_H_
#define TANREN_RUNTIME_KERNELS_AFFINE_H_

#include <ATen/core/Tensor.h>

namespace tanren::kernels {

// x · weightᵀ (+ bias): x [T, D], weight [O, D], bias [O] or undefined; the result is of x's dtype.
at::Tensor AffineForward(const at::Tensor& x_TD, const at::Tensor& weight_OD,
                         const at::Tensor& bias_O);
// The derivative by the weight, of its dtype.
at::Tensor AffineWeightGradient(const at::Tensor& d_out_TO, const at::Tensor& x_TD,
                                const at::Tensor& weight_OD);
// The derivative by the bias, of d_out's dtype.
at::Tensor AffineBiasGradient(const at::Tensor& d_out_TO);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_AFFINE_H_
