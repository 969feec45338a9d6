#include "parallel/optimizer/sgd.h"

#include <ATen/ATen.h>

namespace tanren::parallel {

Sgd::Sgd(std::vector<TrainableShard> shards, const SgdOptions& options)
    : Optimizer(std::move(shards)), options_(options) {
  if (options_.momentum != 0) momenta_ = ZerosBesideMasters();
}

std::vector<OptimizerState> Sgd::State() {
  std::vector<OptimizerState> state;
  for (size_t i = 0; i < momenta_.size(); ++i) state.push_back({"momentum_buffer", i, momenta_[i]});
  return state;
}

void Sgd::Update(double learning_rate, const std::optional<at::Tensor>& inverse_scale) {
  for (bool decayed : {true, false}) {
    const Parts parts = Cut(decayed, momenta_, {});
    if (parts.masters.empty()) continue;
    // Without dampening a first step that starts from zero momentum is like any other.
    at::_fused_sgd_(parts.masters, parts.gradients, parts.first,
                    decayed ? options_.weight_decay : 0.0, options_.momentum, learning_rate,
                    /*dampening=*/0.0, options_.nesterov, /*maximize=*/false,
                    /*is_first_step=*/false, inverse_scale);
  }
}

}  // namespace tanren::parallel
