#include "runtime/kernels/linear_cross_entropy.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>

#include "runtime/base/error.h"
#include "runtime/kernels/device_copy.h"
#include "runtime/kernels/logit_rows.h"
#include "runtime/kernels/products.h"

namespace tanren::kernels {
namespace {

void CheckShapes(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets) {
  TANREN_CHECK(hidden.dim() == 2 && weight.dim() == 2 && hidden.size(1) == weight.size(1) &&
                   hidden.scalar_type() == weight.scalar_type() && targets.dim() == 1 &&
                   targets.size(0) == hidden.size(0) && targets.scalar_type() == at::kLong,
               "an output head's hidden states {}, weight {} and targets {}",
               c10::str(hidden.sizes()), c10::str(weight.sizes()), c10::str(targets.sizes()));
}

void CheckPerToken(const char* what, const at::Tensor& values_T, const at::Tensor& hidden) {
  TANREN_CHECK(values_T.dim() == 1 && values_T.size(0) == hidden.size(0), "{} is {} for {} tokens",
               what, c10::str(values_T.sizes()), hidden.size(0));
}

// The tokens to compute, beside the hidden states.
struct Selection {
  at::Tensor rows_R;  // their numbers
  at::Tensor targets_R;
};

// Checks the targets of those that are wanted. On the CPU, where they belong, no device is waited
// for.
Selection Select(const at::Tensor& wanted_T, const at::Tensor& targets_T, const at::Tensor& hidden,
                 int64_t vocabulary) {
  const at::Tensor rows = wanted_T.nonzero().squeeze(1);
  const at::Tensor targets = targets_T.index_select(0, rows.to(targets_T.device()));
  if (rows.numel() > 0) {
    const int64_t low = targets.min().item<int64_t>(), high = targets.max().item<int64_t>();
    TANREN_CHECK(low >= 0 && high < vocabulary, "targets from {} to {} in a vocabulary of {}", low,
                 high, vocabulary);
  }
  return {ToDevice(rows, hidden.device()), ToDevice(targets, hidden.device())};
}

// One chunk of the selected tokens.
struct Chunk {
  at::Tensor rows_R;
  at::Tensor hidden_RD;
  at::Tensor targets_R;
  at::Tensor logits_RV;  // fp32; a buffer that every chunk shares
};

void ForEachChunk(const at::Tensor& hidden, const at::Tensor& weight, const Selection& selection,
                  const std::function<void(const Chunk&)>& visit) {
  const int64_t count = selection.rows_R.size(0);
  const int64_t most = LogitChunkRows(weight.size(0), hidden.device().type());
  const at::Tensor buffer = at::empty({std::min(count, most), weight.size(0)},
                                      hidden.options().dtype(at::kFloat).requires_grad(false));
  for (int64_t begin = 0; begin < count; begin += most) {
    Chunk chunk;
    const auto part = [&](const at::Tensor& x) {
      return x.slice(0, begin, std::min(count, begin + most));
    };
    chunk.rows_R = part(selection.rows_R);
    chunk.targets_R = part(selection.targets_R);
    chunk.hidden_RD = hidden.index_select(0, chunk.rows_R);
    chunk.logits_RV = buffer.slice(0, 0, chunk.rows_R.size(0));
    Multiply(chunk.hidden_RD, weight.t(), chunk.logits_RV);
    visit(chunk);
  }
}

// From a chunk's derivatives by the logits to those by hidden states and weight.
void Backward(const Chunk& chunk, const at::Tensor& d_logits_RV, const at::Tensor& weight,
              const at::Tensor& d_hidden, at::Tensor* weight_gradient) {
  const at::Tensor d_rows = at::empty_like(chunk.hidden_RD);
  Multiply(d_logits_RV, weight, d_rows);
  d_hidden.index_copy_(0, chunk.rows_R, d_rows);
  if (weight_gradient == nullptr) return;
  Multiply(d_logits_RV.t(), chunk.hidden_RD, *weight_gradient, Into::kAdd);
}

void CheckGradient(const at::Tensor* gradient, const at::Tensor& weight) {
  TANREN_CHECK(
      gradient == nullptr || (gradient->sizes() == weight.sizes() &&
                              gradient->scalar_type() == at::kFloat && gradient->is_contiguous()),
      "the head's weight gradient must be contiguous fp32 of the weight's shape");
}

// The tokens that the second pass computes. On a device, looking which derivatives are 0 would mean
// to wait for them: all that the first pass computed, then.
at::Tensor ToDifferentiate(const TokenStatistics& statistics, const at::Tensor& d_logprob_T,
                           const std::optional<at::Tensor>& d_entropy_T) {
  if (!d_logprob_T.is_cpu()) {
    return statistics.mask_T.defined() ? statistics.mask_T
                                       : at::ones(d_logprob_T.sizes(), at::kBool);
  }
  at::Tensor wanted = d_logprob_T.ne(0);
  if (d_entropy_T) wanted = wanted.logical_or(d_entropy_T->ne(0));
  if (statistics.mask_T.defined()) wanted = wanted.logical_and(statistics.mask_T);
  return wanted;
}

}  // namespace

int64_t LogitChunkRows(int64_t vocabulary, at::DeviceType device) {
  if (device != at::kCUDA) return kLogitChunkRows;
  constexpr int64_t kDeviceBytes = int64_t{1} << 30;
  const int64_t rows = kDeviceBytes / (std::max<int64_t>(1, vocabulary) * 4);
  // Whole tiles of the products.
  constexpr int64_t kTile = 128;
  return std::max(kLogitChunkRows, rows / kTile * kTile);
}

LinearCrossEntropyResult LinearCrossEntropy(const at::Tensor& hidden_TD,
                                            const at::Tensor& weight_VD,
                                            const at::Tensor& targets_T,
                                            const at::Tensor& weights_T, double derivative_scale,
                                            at::Tensor* weight_gradient_VD) {
  at::NoGradGuard no_grad;
  CheckShapes(hidden_TD, weight_VD, targets_T);
  CheckPerToken("the token weight", weights_T, hidden_TD);
  CheckGradient(weight_gradient_VD, weight_VD);
  LinearCrossEntropyResult result{at::zeros({}, hidden_TD.options().dtype(at::kDouble)),
                                  at::zeros(hidden_TD.sizes(), hidden_TD.options())};
  const at::Tensor all_weights_T = ToDevice(weights_T, hidden_TD.device());
  const Selection selection = Select(weights_T.ne(0), targets_T, hidden_TD, weight_VD.size(0));
  ForEachChunk(hidden_TD, weight_VD, selection, [&](const Chunk& chunk) {
    const at::Tensor weights = all_weights_T.index_select(0, chunk.rows_R);
    const RowStatistics found = StatisticsOfRows(chunk.logits_RV, chunk.targets_R, 1, false);
    result.loss_sum.sub_((weights.to(at::kDouble) * found.logprob_R).sum());
    const at::Tensor d_logits_RV = DifferentiateRows(chunk.logits_RV, chunk.targets_R, found,
                                                     (weights * -derivative_scale).to(at::kFloat),
                                                     {}, 1, weight_VD.scalar_type());
    Backward(chunk, d_logits_RV, weight_VD, result.d_hidden_TD, weight_gradient_VD);
  });
  return result;
}

TokenStatistics LogProbabilities(const at::Tensor& hidden_TD, const at::Tensor& weight_VD,
                                 const at::Tensor& targets_T,
                                 const std::optional<at::Tensor>& mask_T, bool entropy,
                                 double temperature) {
  at::NoGradGuard no_grad;
  CheckShapes(hidden_TD, weight_VD, targets_T);
  TANREN_CHECK(temperature > 0, "temperature {} is not positive", temperature);
  const auto per_token = hidden_TD.options().dtype(at::kFloat).requires_grad(false);
  const int64_t tokens = hidden_TD.size(0);
  TokenStatistics statistics;
  statistics.logprob_T = at::zeros({tokens}, per_token);
  statistics.logsumexp_T = at::zeros({tokens}, per_token);
  if (entropy) statistics.entropy_T = at::zeros({tokens}, per_token);
  if (mask_T) statistics.mask_T = *mask_T;
  statistics.temperature = temperature;
  const at::Tensor wanted = mask_T ? *mask_T : at::ones({tokens}, at::kBool);
  CheckPerToken("the mask", wanted, hidden_TD);
  const Selection selection = Select(wanted, targets_T, hidden_TD, weight_VD.size(0));
  ForEachChunk(hidden_TD, weight_VD, selection, [&](const Chunk& chunk) {
    const RowStatistics found =
        StatisticsOfRows(chunk.logits_RV, chunk.targets_R, temperature, entropy);
    statistics.logprob_T.index_copy_(0, chunk.rows_R, found.logprob_R);
    statistics.logsumexp_T.index_copy_(0, chunk.rows_R, found.logsumexp_R);
    if (entropy) statistics.entropy_T.index_copy_(0, chunk.rows_R, found.entropy_R);
  });
  return statistics;
}

at::Tensor LogProbabilitiesBackward(const at::Tensor& hidden_TD, const at::Tensor& weight_VD,
                                    const at::Tensor& targets_T, const TokenStatistics& statistics,
                                    const at::Tensor& d_logprob_T,
                                    const std::optional<at::Tensor>& d_entropy_T,
                                    at::Tensor* weight_gradient_VD) {
  at::NoGradGuard no_grad;
  CheckShapes(hidden_TD, weight_VD, targets_T);
  CheckPerToken("the derivative by log-probability", d_logprob_T, hidden_TD);
  CheckPerToken("the log-sum-exp", statistics.logsumexp_T, hidden_TD);
  CheckGradient(weight_gradient_VD, weight_VD);
  const bool entropy = d_entropy_T.has_value();
  TANREN_CHECK(!entropy || statistics.entropy_T.defined(),
               "a derivative by entropy needs the first pass to have computed it");
  if (entropy) CheckPerToken("the derivative by entropy", *d_entropy_T, hidden_TD);
  const at::Tensor d_hidden = at::zeros(hidden_TD.sizes(), hidden_TD.options());
  const Selection selection = Select(ToDifferentiate(statistics, d_logprob_T, d_entropy_T),
                                     targets_T, hidden_TD, weight_VD.size(0));
  ForEachChunk(hidden_TD, weight_VD, selection, [&](const Chunk& chunk) {
    const auto part = [&](const at::Tensor& x) { return x.index_select(0, chunk.rows_R); };
    RowStatistics found{part(statistics.logprob_T), part(statistics.logsumexp_T), {}};
    if (entropy) found.entropy_R = part(statistics.entropy_T);
    const at::Tensor d_logits_RV =
        DifferentiateRows(chunk.logits_RV, chunk.targets_R, found, part(d_logprob_T).to(at::kFloat),
                          entropy ? part(*d_entropy_T).to(at::kFloat) : at::Tensor(),
                          statistics.temperature, weight_VD.scalar_type());
    Backward(chunk, d_logits_RV, weight_VD, d_hidden, weight_gradient_VD);
  });
  return d_hidden;
}

at::Tensor Logits(const at::Tensor& hidden_TD, const at::Tensor& weight_VD) {
  at::NoGradGuard no_grad;
  at::Tensor logits = at::empty({hidden_TD.size(0), weight_VD.size(0)},
                                hidden_TD.options().dtype(at::kFloat).requires_grad(false));
  Multiply(hidden_TD, weight_VD.t(), logits);
  return logits;
}

}  // namespace tanren::kernels
