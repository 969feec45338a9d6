// Root-mean-square normalisation.
#ifndef TANREN_RUNTIME_KERNELS_NORM_H_
#define TANREN_RUNTIME_KERNELS_NORM_H_

#include <ATen/core/Tensor.h>

namespace tanren::kernels {

// x / sqrt(mean(x²) + epsilon) · weight over the last dimension of `x` [..., D]; `weight_D` [D].
// Computed in fp32; the normalised value is rounded to x's dtype before it meets the weight, as
// transformers' LlamaRMSNorm does. The result has x's shape and dtype. Differentiable in both.
// arXiv:1910.07467
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight_D, double epsilon);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_NORM_H_
