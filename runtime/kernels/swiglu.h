// The gated activation of Llama's feed-forward network.
#ifndef TANREN_RUNTIME_KERNELS_SWIGLU_H_
#define TANREN_RUNTIME_KERNELS_SWIGLU_H_

#include <ATen/core/Tensor.h>

namespace tanren::kernels {

// silu(gate) · up, element by element; both of one shape and dtype, [T, F]. Computed in fp32 and
// rounded once. Differentiable in both. arXiv:2002.05202
at::Tensor SwiGlu(const at::Tensor& gate_TF, const at::Tensor& up_TF);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_SWIGLU_H_
