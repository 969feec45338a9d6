#include "runtime/kernels/logit_rows.h"

#include <ATen/ATen.h>

namespace tanren::kernels {

RowStatistics StatisticsOfRows(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                               double temperature, bool entropy) {
  const at::Tensor scaled = logits_RV / temperature;
  RowStatistics statistics;
  statistics.logsumexp_R = scaled.logsumexp(1);
  statistics.logprob_R =
      scaled.gather(1, targets_R.unsqueeze(1)).squeeze(1) - statistics.logsumexp_R;
  if (entropy) {
    const at::Tensor p = (scaled - statistics.logsumexp_R.unsqueeze(1)).exp();
    statistics.entropy_R = statistics.logsumexp_R - (p * scaled).sum(1);
  }
  return statistics;
}

// With z = logits / temperature:  ∂ log p_t / ∂z_j = δ_tj − p_j,  ∂H / ∂z_j = −p_j (log p_j + H).
void DifferentiateRows(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                       const RowStatistics& statistics, const at::Tensor& d_logprob_R,
                       const at::Tensor& d_entropy_R, double temperature) {
  const at::Tensor log_p = logits_RV / temperature - statistics.logsumexp_R.unsqueeze(1);
  at::Tensor by_p = d_logprob_R.unsqueeze(1);
  if (d_entropy_R.defined()) {
    by_p = by_p + d_entropy_R.unsqueeze(1) * (log_p + statistics.entropy_R.unsqueeze(1));
  }
  at::Tensor derivative = log_p.exp().mul_(by_p).neg_();
  derivative.scatter_add_(1, targets_R.unsqueeze(1), d_logprob_R.to(at::kFloat).unsqueeze(1));
  logits_RV.copy_(derivative.div_(temperature));
}

}  // namespace tanren::kernels
