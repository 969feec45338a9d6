// Causal attention of a group of query heads over one key-value head. The heads of the group are
// rows of the same matrix products, so keys and values are never repeated and their gradients add
// up by themselves. Scores exist for a block of rows and keys at a time (arXiv:2205.14135).
#ifndef TANREN_RUNTIME_KERNELS_CPU_ATTENTION_H_
#define TANREN_RUNTIME_KERNELS_CPU_ATTENTION_H_

#include <cstdint>

namespace tanren::kernels {

// All values fp32 or all bf16. Rows of one token: query, out and their gradients [group, head_size]
// contiguous; key and value [head_size]. Strides are from token to token, in elements.
struct AttentionTask {
  const void *query, *key, *value;
  void* out;
  bool is_bf16;
  int64_t query_stride, key_stride, value_stride, out_stride;
  int64_t group, head_size;
  int64_t query_count;  // query i sees keys 0 … first_position + i
  int64_t first_position;
  float scale;
  // Each row's log of its sum of exponentials, [query_count, group]: written by the forward pass
  // unless null, read by the backward one.
  float* log_sum_exp;
  int64_t log_sum_exp_stride;

  // Of the backward pass alone, where first_position is 0. Strides as those of query, key and
  // value.
  const void* d_out;
  void *d_query, *d_key, *d_value;
};

// Query blocks start at multiples of this many tokens, so a task may be cut there without changing
// a bit.
constexpr int64_t AttentionBlock(int64_t group) { return group >= 12 ? 8 : 96 / group; }

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_CPU_ATTENTION_H_
