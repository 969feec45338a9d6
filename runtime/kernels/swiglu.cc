#include "runtime/kernels/swiglu.h"

#include "runtime/base/error.h"
#include "runtime/kernels/composed.h"

namespace tanren::kernels {

at::Tensor SwiGlu(const at::Tensor& gate_TF, const at::Tensor& up_TF) {
  TANREN_CHECK(gate_TF.sizes() == up_TF.sizes() && gate_TF.dtype() == up_TF.dtype(),
               "SwiGLU of a gate {} and an up projection {}", c10::str(gate_TF.sizes()),
               c10::str(up_TF.sizes()));
  return ComposedSwiGlu(gate_TF, up_TF);
}

}  // namespace tanren::kernels
