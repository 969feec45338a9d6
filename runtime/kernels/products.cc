#include "runtime/kernels/products.h"

#include <ATen/ATen.h>

#include "runtime/base/error.h"
#include "runtime/kernels/cpu_features.h"

namespace tanren::kernels {
namespace {

// The dtype to multiply in.
at::ScalarType ProductDtype(const at::Tensor& a, const at::Tensor& b) {
  const bool narrow_is_fast = !a.is_cpu() || HasFastBf16Products();
  const auto narrow = a.scalar_type() == at::kFloat ? b.scalar_type() : a.scalar_type();
  const bool half = narrow == at::kBFloat16 || narrow == at::kHalf;
  return half && !narrow_is_fast ? at::kFloat : narrow;
}

}  // namespace

void Multiply(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& out_MN, Into into) {
  TANREN_CHECK(a_MK.dim() == 2 && b_KN.dim() == 2 && a_MK.size(1) == b_KN.size(0) &&
                   out_MN.dim() == 2 && out_MN.size(0) == a_MK.size(0) &&
                   out_MN.size(1) == b_KN.size(1),
               "a product of {} and {} into {}", c10::str(a_MK.sizes()), c10::str(b_KN.sizes()),
               c10::str(out_MN.sizes()));
  at::NoGradGuard no_grad;
  const at::ScalarType dtype = ProductDtype(a_MK, b_KN);
  const at::Tensor a = a_MK.to(dtype), b = b_KN.to(dtype);
  at::Tensor out = out_MN;
  if (out.scalar_type() == dtype && into == Into::kAdd) {
    at::addmm_out(out, out, a, b);
  } else if (out.scalar_type() == dtype) {
    at::mm_out(out, a, b);
  } else if (into == Into::kAdd) {
    out.add_(at::mm(a, b));
  } else {
    out.copy_(at::mm(a, b));
  }
}

}  // namespace tanren::kernels
