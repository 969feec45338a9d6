// The output head: from hidden states to the log-probabilities of target tokens, and back. The
// logits of all tokens are never in memory at once: rows are taken in chunks, and a chunk's logits,
// loss and derivatives share one buffer. Two forms with the same results to rounding: one pass
// where each token's derivative is known beforehand, two passes where it depends on the
// log-probabilities.
//
// `hidden_TD` [T, D] and `weight_VD` [V, D] have one dtype; `targets_T` [T] int64 below V (where a
// token isn't computed, any value). Weight gradients are added into fp32 [V, D]. Nothing here
// records an autograd graph.
//
// Where the hidden states lie on a device, targets, weights and masks belong on the CPU: which rows
// to compute is found there, and nobody waits for the device. Results are beside the hidden states.
#ifndef TANREN_RUNTIME_KERNELS_LINEAR_CROSS_ENTROPY_H_
#define TANREN_RUNTIME_KERNELS_LINEAR_CROSS_ENTROPY_H_

#include <ATen/core/Tensor.h>

#include <optional>

namespace tanren::kernels {

// Rows of logits in memory at once: enough for the products to be efficient, and few
// enough for 50,000 words in fp32 to take 100 MB. On a GPU so many more that they take up to a
// gigabyte there: each chunk's product goes through the whole weight and its gradient.
constexpr int64_t kLogitChunkRows = 512;
int64_t LogitChunkRows(int64_t vocabulary, at::DeviceType device);

struct LinearCrossEntropyResult {
  at::Tensor loss_sum;     // [] fp64: Σ weight · −log p(target), in nats
  at::Tensor d_hidden_TD;  // derivative of derivative_scale · loss_sum; hidden's dtype
};

// One pass. `weights_T` [T] fp32: a token of weight 0 isn't computed at all and gets a zero
// derivative. `weight_gradient_VD`, if not null, gets the derivative of derivative_scale · loss_sum
// by the weight added.
LinearCrossEntropyResult LinearCrossEntropy(const at::Tensor& hidden_TD,
                                            const at::Tensor& weight_VD,
                                            const at::Tensor& targets_T,
                                            const at::Tensor& weights_T, double derivative_scale,
                                            at::Tensor* weight_gradient_VD);

// What the second pass needs of the first. Tokens that weren't computed hold 0.
struct TokenStatistics {
  at::Tensor logprob_T;    // fp32, log p(target), in nats
  at::Tensor logsumexp_T;  // fp32, of the logits over temperature
  at::Tensor entropy_T;    // fp32, −Σ p log p; undefined if not asked for
  at::Tensor mask_T;       // bool, which tokens were computed; undefined: all
  double temperature = 1;
};

// First pass. `mask_T` [T] bool says which tokens to compute. Logits are divided by `temperature`.
TokenStatistics LogProbabilities(const at::Tensor& hidden_TD, const at::Tensor& weight_VD,
                                 const at::Tensor& targets_T,
                                 const std::optional<at::Tensor>& mask_T = std::nullopt,
                                 bool entropy = false, double temperature = 1);

// Second pass: the derivative by hidden_TD (its dtype) of a loss whose derivatives by logprob_T
// and, if given, by entropy_T are these [T] fp32. Tokens where both are 0 may be skipped.
at::Tensor LogProbabilitiesBackward(const at::Tensor& hidden_TD, const at::Tensor& weight_VD,
                                    const at::Tensor& targets_T, const TokenStatistics& statistics,
                                    const at::Tensor& d_logprob_T,
                                    const std::optional<at::Tensor>& d_entropy_T,
                                    at::Tensor* weight_gradient_VD);

// All logits [T, V] in fp32, for sampling: T is the number of sequences, not of tokens.
at::Tensor Logits(const at::Tensor& hidden_TD, const at::Tensor& weight_VD);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_LINEAR_CROSS_ENTROPY_H_
