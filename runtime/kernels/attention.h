// Causal attention with grouped key-value heads: over packed documents in training, over stored
// keys and values in generation. Query head h reads key-value head h / (H / K).
#ifndef TANREN_RUNTIME_KERNELS_ATTENTION_H_
#define TANREN_RUNTIME_KERNELS_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace tanren::kernels {

// softmax(scale · q kᵀ) v where each token sees itself and the earlier tokens of its own document.
// `q_THd` [T, H, d]; `k_TKd`, `v_TKd` [T, K, d] of the same dtype, H a multiple of K;
// `document_offsets` [N + 1] int64 on the CPU, from 0 to T, not decreasing (a document may be
// empty); `device_offsets`, the same as int32 beside q where that is a GPU, is made here if it is
// undefined. Result [T, H, d] in q's dtype; scores and sums are fp32. Differentiable in q, k and v.
// What a token gets doesn't depend, to the last bit, on the other documents.
at::Tensor DocumentAttention(const at::Tensor& q_THd, const at::Tensor& k_TKd,
                             const at::Tensor& v_TKd, const at::Tensor& document_offsets,
                             double scale, const at::Tensor& device_offsets = {});

// One sequence's stored keys and values and the queries that read them.
struct CacheView {
  at::Tensor keys_LKd;      // [L, K, d], any strides with d contiguous; the first `length` count
  at::Tensor values_LKd;    // like keys_LKd
  int64_t first_query = 0;  // its queries are rows first_query … first_query + query_count − 1
  int64_t query_count = 0;
  int64_t length = 0;  // tokens stored, those of the queries themselves included
};

// Attention of new tokens over stored ones: the last query of a sequence sees all `length` entries,
// the one before it one fewer, and so on. `q_THd` [T, H, d]; rows that no sequence names come out
// zero. Not differentiable.
at::Tensor DecodeAttention(const at::Tensor& q_THd, std::span<const CacheView> sequences,
                           double scale);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_ATTENTION_H_
