// The same operations composed of ATen's, with autograd's own derivatives: for devices and dtypes
// that have no kernel here, and what tests and benchmarks compare with. Contracts as in norm.h,
// swiglu.h, rotary.h and attention.h; sums are fp32, or fp64 for fp64 arguments.
#ifndef TANREN_RUNTIME_KERNELS_COMPOSED_H_
#define TANREN_RUNTIME_KERNELS_COMPOSED_H_

#include <ATen/core/Tensor.h>

#include <span>

#include "runtime/kernels/attention.h"
#include "runtime/kernels/rotary.h"

namespace tanren::kernels {

at::Tensor ComposedRmsNorm(const at::Tensor& x, const at::Tensor& weight_D, double epsilon);
at::Tensor ComposedSwiGlu(const at::Tensor& gate_TF, const at::Tensor& up_TF);
at::Tensor ComposedRotary(const at::Tensor& x_THd, const RotaryTable& table);
at::Tensor ComposedDocumentAttention(const at::Tensor& q_THd, const at::Tensor& k_TKd,
                                     const at::Tensor& v_TKd, const at::Tensor& document_offsets,
                                     double scale);
at::Tensor ComposedDecodeAttention(const at::Tensor& q_THd, std::span<const CacheView> sequences,
                                   double scale);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_COMPOSED_H_
