#include "runtime/kernels/norm.h"

#include "runtime/base/error.h"
#include "runtime/kernels/composed.h"

namespace tanren::kernels {

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight_D, double epsilon) {
  TANREN_CHECK(x.dim() >= 1 && weight_D.dim() == 1 && x.size(-1) == weight_D.size(0),
               "RMSNorm of {} with a weight of {}", c10::str(x.sizes()),
               c10::str(weight_D.sizes()));
  return ComposedRmsNorm(x, weight_D, epsilon);
}

}  // namespace tanren::kernels
