// Loops over rows that read and write memory once: what they cost is the reading.
#ifndef TANREN_RUNTIME_KERNELS_CPU_ROWS_H_
#define TANREN_RUNTIME_KERNELS_CPU_ROWS_H_

#include <cstdint>

namespace tanren::kernels {

// Root-mean-square norm of contiguous rows; all values fp32 or all bf16, inverse_rms fp32 [rows].
struct NormTask {
  const void *x, *weight;
  bool is_bf16;
  int64_t width;
  float epsilon;
  void* out;           // forward
  float* inverse_rms;  // written by the forward pass, read by the backward one
  const void* d_out;   // backward
  void* d_x;
};

// Element by element over contiguous memory; all fp32 or all bf16.
struct GateTask {
  const void *gate, *up;
  bool is_bf16;
  void* out;          // backward: null, or filled again
  const void* d_out;  // backward
  void *d_gate, *d_up;
};

// Heads of size `size`; the result is contiguous, the table contiguous [tokens, size].
struct RotaryTask {
  const void* x;
  bool is_bf16;
  int64_t token_stride, head_stride;
  int64_t heads, size;
  const void *cos, *sin;
  bool table_is_bf16;
  float direction;  // 1 turns, −1 turns back
  void* out;
};

// A row of fp32 logits: what RowStatistics, DrawFromRow and DifferentiateRows of logit_rows.h say.
struct LogitRow {
  const float* logits;
  int64_t vocabulary, target;
  float inverse_temperature;
  float logprob, log_sum_exp, entropy;
};

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_CPU_ROWS_H_
