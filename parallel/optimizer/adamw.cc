#include "parallel/optimizer/adamw.h"

#include <ATen/ATen.h>

namespace tanren::parallel {

AdamW::AdamW(std::vector<TrainableShard> shards, const AdamWOptions& options)
    : Optimizer(std::move(shards)),
      options_(options),
      means_(ZerosBesideMasters()),
      squares_(ZerosBesideMasters()) {}

std::vector<OptimizerState> AdamW::State() {
  std::vector<OptimizerState> state;
  for (size_t i = 0; i < means_.size(); ++i) {
    state.push_back({"exp_avg", i, means_[i]});
    state.push_back({"exp_avg_sq", i, squares_[i]});
  }
  return state;
}

void AdamW::Update(double learning_rate, const std::optional<at::Tensor>& inverse_scale) {
  for (bool decayed : {true, false}) {
    const Parts parts = Cut(decayed, means_, squares_);
    if (parts.masters.empty()) continue;
    const std::vector<at::Tensor> steps(
        parts.masters.size(),
        at::full({}, static_cast<double>(steps_taken()), parts.masters.front().options()));
    at::_fused_adamw_(parts.masters, parts.gradients, parts.first, parts.second, {}, steps,
                      learning_rate, options_.beta1, options_.beta2,
                      decayed ? options_.weight_decay : 0.0, options_.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false, inverse_scale);
  }
}

}  // namespace tanren::parallel
