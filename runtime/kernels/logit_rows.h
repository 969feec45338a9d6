// Softmax statistics of rows of logits, and derivatives by the logits in their place. The steps
// between the two matrix products of linear_cross_entropy.h.
#ifndef TANREN_RUNTIME_KERNELS_LOGIT_ROWS_H_
#define TANREN_RUNTIME_KERNELS_LOGIT_ROWS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace tanren::kernels {

// Of R rows, all fp32 [R], in nats.
struct RowStatistics {
  at::Tensor logprob_R;    // of the target
  at::Tensor logsumexp_R;  // of the logits over temperature
  at::Tensor entropy_R;    // undefined if not asked for
};

// `logits_RV` fp32 contiguous, `targets_R` int64 in [0, V).
RowStatistics StatisticsOfRows(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                               double temperature, bool entropy);

// The first token up to which probabilities sum to more than `uniform`, in [0, 1). Of a row where
// the sum stays below that, for rounding, the last token that has a probability. A row with a NaN
// or without a finite logit is an error (kInternal, thrown). `temperature` is positive.
int64_t DrawFromRow(std::span<const float> logits_V, double temperature, double uniform);

// Derivatives [R, V] of Σ d_logprob · logprob + Σ d_entropy · entropy by the logits, as `dtype`,
// fp32 or bf16, on a device fp16 too. `d_entropy_R` may be undefined; the others are fp32 [R], and
// `statistics` are those of these rows. The logits are gone: the result may stand in their memory,
// its rows as far apart as theirs.
at::Tensor DifferentiateRows(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                             const RowStatistics& statistics, const at::Tensor& d_logprob_R,
                             const at::Tensor& d_entropy_R, double temperature,
                             at::ScalarType dtype);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_LOGIT_ROWS_H_
