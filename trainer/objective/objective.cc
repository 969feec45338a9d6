#include "trainer/objective/objective.h"

#include <ATen/ATen.h>

namespace tanren::trainer {

parallel::HeadResult StatisticsObjective::LossAndDerivative(const Batch& batch,
                                                            const HeadInput& head,
                                                            double derivative_scale) const {
  const kernels::TokenStatistics statistics = kernels::LogProbabilities(
      head.hidden_TD, head.weight_VD, batch.targets_T, batch.weights_T.ne(0), needs_entropy());
  LossTerm term = Loss(statistics, batch);
  std::optional<at::Tensor> d_entropy_T;
  if (term.d_entropy_T.defined()) d_entropy_T = term.d_entropy_T * derivative_scale;
  at::Tensor gradient = head.weight_gradient_VD;
  at::Tensor d_hidden_TD = kernels::LogProbabilitiesBackward(
      head.hidden_TD, head.weight_VD, batch.targets_T, statistics,
      term.d_logprob_T * derivative_scale, d_entropy_T, gradient.defined() ? &gradient : nullptr);
  return {term.sum, std::move(d_hidden_TD)};
}

}  // namespace tanren::trainer
