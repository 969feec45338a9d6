// Linear maps together with the operation before them. That operation is cheap and its result as
// large as what the map keeps anyway, so the result isn't kept for the backward pass but made again
// there: a Llama block then keeps a quarter less.
#ifndef TANREN_RUNTIME_KERNELS_FUSED_LINEAR_H_
#define TANREN_RUNTIME_KERNELS_FUSED_LINEAR_H_

#include <ATen/core/Tensor.h>

#include <vector>

namespace tanren::kernels {

// As of Linear in linear.h: weight [O, D], bias [O] or undefined.
struct AffineWeights {
  at::Tensor weight_OD;
  at::Tensor bias_O;
};

// Linear(RmsNorm(x), w) for each of `maps`, which have widths O of their own: results [T, O]. All
// of one dtype; x [T, D], norm_weight [D]. Differentiable in all.
std::vector<at::Tensor> NormedLinears(const at::Tensor& x_TD, const at::Tensor& norm_weight_D,
                                      double epsilon, const std::vector<AffineWeights>& maps);

// Linear(SwiGlu(gate, up), map): gate and up [T, F], the result [T, O]. Differentiable in all.
at::Tensor GatedLinear(const at::Tensor& gate_TF, const at::Tensor& up_TF,
                       const AffineWeights& map);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_FUSED_LINEAR_H_
