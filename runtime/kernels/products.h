// Matrix products of the training step.
#ifndef TANREN_RUNTIME_KERNELS_PRODUCTS_H_
#define TANREN_RUNTIME_KERNELS_PRODUCTS_H_

#include <ATen/core/Tensor.h>

namespace tanren::kernels {

enum class Into { kReplace, kAdd };

// out = a · b, or out += a · b, with sums in fp32, rounded once to out's dtype. `a_MK` [M, K] and
// `b_KN` [K, N] may be transposed views, and one may be fp32 where the other is bf16 or fp16: it is
// then rounded to the narrower dtype where products in that are the machine's fast ones, else the
// narrower is widened. (Half precision on the CPU is libtorch's, which rounds sums to it.)
// `out_MN` [M, N], contiguous, has any floating dtype. Not differentiable. Few rows times a
// transposed weight cost one reading of the weight.
void Multiply(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& out_MN,
              Into into = Into::kReplace);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_PRODUCTS_H_
