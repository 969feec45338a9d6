#include "trainer/objective/next_token.h"

#include <ATen/ATen.h>

#include <utility>

namespace tanren::trainer {

parallel::HeadResult NextToken::LossAndDerivative(const Batch& batch, const HeadInput& head,
                                                  double derivative_scale) const {
  at::Tensor gradient = head.weight_gradient_VD;
  kernels::LinearCrossEntropyResult result =
      kernels::LinearCrossEntropy(head.hidden_TD, head.weight_VD, batch.targets_T, batch.weights_T,
                                  derivative_scale, gradient.defined() ? &gradient : nullptr);
  return {result.loss_sum, std::move(result.d_hidden_TD)};
}

}  // namespace tanren::trainer
