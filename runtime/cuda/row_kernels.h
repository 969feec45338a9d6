// Launches of the kernels behind kernels::DeviceKernels, with raw pointers; each returns what its
// launch says. Element types but double.
#ifndef TANREN_RUNTIME_CUDA_ROW_KERNELS_H_
#define TANREN_RUNTIME_CUDA_ROW_KERNELS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "runtime/cuda/element_type.h"

namespace tanren::cuda {

// Rows of `width`, contiguous.
struct NormArguments {
  const void* x;
  const void* weight;
  int64_t rows, width;
  float epsilon;       // forward alone
  float* inverse_rms;  // forward: written; backward: read
  void* out;           // forward alone
  const void* d_out;   // backward alone, with what follows
  void* d_x;
  float* partials;  // [NormPartials(rows), width]: sums of the weight's derivative, to be added up
};
cudaError_t LaunchNormForward(ElementType type, const NormArguments& norm, cudaStream_t stream);
bool TakesNormBackward(ElementType type, int64_t width);  // and aligned to 16 bytes
int NormPartials(int64_t rows);
cudaError_t LaunchNormBackward(ElementType type, const NormArguments& norm, cudaStream_t stream);

// `count` elements each, contiguous.
struct GateArguments {
  const void* gate;
  const void* up;
  const void* d_out;  // backward alone, with the two after it
  void* d_gate;
  void* d_up;
  void* out;  // backward: null if not wanted
  int64_t count;
};
cudaError_t LaunchGateForward(ElementType type, const GateArguments& gate, cudaStream_t stream);
cudaError_t LaunchGateBackward(ElementType type, const GateArguments& gate, cudaStream_t stream);

struct RotaryArguments {
  const void* x;
  int64_t token_stride;  // elements
  int64_t head_stride;
  int64_t tokens, heads, size;
  const void* cos;  // [tokens, size], of x's type
  const void* sin;
  bool backward;
  void* out;  // [tokens, heads, size]
};
cudaError_t LaunchRotate(ElementType type, const RotaryArguments& rotary, cudaStream_t stream);

// Rows of `vocabulary` fp32 logits, one behind the other, and a number of each of the others for a
// row.
struct LogitArguments {
  float* logits;
  int64_t rows, vocabulary;
  const int64_t* targets;
  float inverse_temperature;
  float* logprob;  // statistics: written; derivatives: read
  float* logsumexp;
  float* entropy;          // null if not wanted
  const float* d_logprob;  // derivatives alone, with what follows
  const float* d_entropy;  // null: there is none
};
cudaError_t LaunchLogitStatistics(const LogitArguments& logits, cudaStream_t stream);
// Row r's derivatives, of `type`, begin where its logits did.
cudaError_t LaunchLogitDerivatives(ElementType type, const LogitArguments& logits,
                                   cudaStream_t stream);

// `count` elements, contiguous.
cudaError_t LaunchConvert(ElementType from_type, const void* from, ElementType to_type, void* to,
                          int64_t count, cudaStream_t stream);

// See kernels::DeviceKernels::AdamW, whose numbers these are made of.
struct AdamWArguments {
  float* master;
  const float* gradient;
  float* mean;
  float* square;
  int64_t count;
  const float* inverse_scale;  // null: the gradient is as it should be
  float beta1, beta2, epsilon;
  float keep;                      // 1 − learning rate · decay
  float step_size;                 // learning rate / (1 − beta1^step)
  float inverse_root_correction2;  // 1 / √(1 − beta2^step)
};
cudaError_t LaunchAdamW(const AdamWArguments& task, cudaStream_t stream);

// sum = Σ x², by way of `partials` [kSquaresPartials].
inline constexpr int kSquaresPartials = 1024;
cudaError_t LaunchSumOfSquares(const float* x, int64_t count, double* partials, double* sum,
                               cudaStream_t stream);

}  // namespace tanren::cuda

#endif  // TANREN_RUNTIME_CUDA_ROW_KERNELS_H_
