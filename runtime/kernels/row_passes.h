// The passes over rows that differentiable operations are made of; not differentiable themselves.
// Tensors are contiguous and all of one dtype unless said: fp32 or bf16, on a device fp16 too.
#ifndef TANREN_RUNTIME_KERNELS_ROW_PASSES_H_
#define TANREN_RUNTIME_KERNELS_ROW_PASSES_H_

#include <ATen/core/Tensor.h>

namespace tanren::kernels {

// Whether the passes, and on the CPU the products of this folder, take x: where it lies, and its
// dtype.
bool TakesRowPasses(const at::Tensor& x);

struct Normed {
  at::Tensor out;          // of x's shape
  at::Tensor inverse_rms;  // fp32, one for each row; its shape is the pass's own affair
};
// As RmsNorm in norm.h.
Normed NormForward(const at::Tensor& x, const at::Tensor& weight_D, double epsilon);

struct NormDerivatives {
  at::Tensor x;
  at::Tensor weight_D;
};
NormDerivatives NormBackward(const at::Tensor& x, const at::Tensor& weight_D,
                             const at::Tensor& inverse_rms, const at::Tensor& d_out);

// As SwiGlu in swiglu.h.
at::Tensor GateForward(const at::Tensor& gate, const at::Tensor& up);

struct GateDerivatives {
  at::Tensor gate;
  at::Tensor up;
};
// Where `out` is defined, it is filled with GateForward's result in the same pass.
GateDerivatives GateBackward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& d_out,
                             const at::Tensor& out = {});

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_ROW_PASSES_H_
