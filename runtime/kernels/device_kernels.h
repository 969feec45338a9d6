// The passes over memory that the CUDA module has kernels for, each of which libtorch would make
// several of and move several times the bytes. None is differentiable; all are enqueued on the
// current stream of the tensors' device, and nothing waits.
#ifndef TANREN_RUNTIME_KERNELS_DEVICE_KERNELS_H_
#define TANREN_RUNTIME_KERNELS_DEVICE_KERNELS_H_

#include <ATen/core/Tensor.h>

#include "runtime/kernels/logit_rows.h"
#include "runtime/kernels/row_passes.h"

namespace tanren::kernels {

struct AdamWNumbers {
  double learning_rate, beta1, beta2, epsilon, decay;
  int64_t step;  // from 1
};

// Tensors are fp32, fp16 or bf16, one type in a call, contiguous and on one device unless said;
// results are computed in fp32 and rounded once. Throws Error (kInternal) with CUDA's words where a
// launch fails.
class DeviceKernels {
 public:
  virtual ~DeviceKernels() = default;

  // As NormForward and NormBackward in row_passes.h, over the last dimension. `inverse_rms` is
  // fp32, one for each row. The derivatives' sums over rows are taken in an order that the shape
  // alone decides. TakesNormBackward says whether there is a kernel for rows of this width.
  virtual void NormForward(const at::Tensor& x, const at::Tensor& weight_D, double epsilon,
                           const at::Tensor& out, const at::Tensor& inverse_rms) const = 0;
  virtual bool TakesNormBackward(int64_t width, at::ScalarType dtype) const = 0;
  virtual NormDerivatives NormBackward(const at::Tensor& x, const at::Tensor& weight_D,
                                       const at::Tensor& inverse_rms,
                                       const at::Tensor& d_out) const = 0;

  // As GateForward and GateBackward in row_passes.h, into `out`, `d_gate` and `d_up`. Of the latter
  // pass `out` may be undefined.
  virtual void GateForward(const at::Tensor& gate, const at::Tensor& up,
                           const at::Tensor& out) const = 0;
  virtual void GateBackward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& d_out,
                            const at::Tensor& d_gate, const at::Tensor& d_up,
                            const at::Tensor& out) const = 0;

  // As Rotary in rotary.h, whose tables have two equal halves; `backward` turns the other way.
  // Heads of `x_THd` must be contiguous, tokens and heads may lie anywhere.
  virtual void Rotate(const at::Tensor& x_THd, const at::Tensor& cos_Td, const at::Tensor& sin_Td,
                      bool backward, const at::Tensor& out_THd) const = 0;

  // As StatisticsOfRows and DifferentiateRows in logit_rows.h, on fp32 logits; the former fills
  // `statistics`, the latter leaves derivatives of `dtype` at the beginning of each row's memory.
  virtual void LogitStatistics(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                               double temperature, const RowStatistics& statistics) const = 0;
  virtual void LogitDerivatives(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                                const RowStatistics& statistics, const at::Tensor& d_logprob_R,
                                const at::Tensor& d_entropy_R, double temperature,
                                at::ScalarType dtype) const = 0;

  // to = from, of another dtype.
  virtual void Convert(const at::Tensor& from, const at::Tensor& to) const = 0;

  // One step of AdamW over flat fp32 tensors of one size, as at::_fused_adamw_ makes it; the
  // gradient is divided by `inverse_scale` where that is defined, and stays as it was.
  virtual void AdamW(const at::Tensor& master, const at::Tensor& gradient, const at::Tensor& mean,
                     const at::Tensor& square, const AdamWNumbers& numbers,
                     const at::Tensor& inverse_scale) const = 0;

  // Σ x² of a contiguous fp32 tensor in fp64, always in the same order; [] fp64 on its device.
  virtual at::Tensor SumOfSquares(const at::Tensor& x) const = 0;
};

// Those for x: null where x isn't on a GPU or of another dtype.
const DeviceKernels* DeviceKernelsFor(const at::Tensor& x);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_DEVICE_KERNELS_H_
