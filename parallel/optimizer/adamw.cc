#include "parallel/optimizer/adamw.h"

#include <ATen/ATen.h>

#include "runtime/kernels/device_kernels.h"

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
    const double decay = decayed ? options_.weight_decay : 0.0;
    if (const auto* const device = kernels::DeviceKernelsFor(parts.masters.front())) {
      const kernels::AdamWNumbers numbers{learning_rate,    options_.beta1, options_.beta2,
                                          options_.epsilon, decay,          steps_taken()};
      for (size_t i = 0; i < parts.masters.size(); ++i) {
        device->AdamW(parts.masters[i], parts.gradients[i], parts.first[i], parts.second[i],
                      numbers, inverse_scale.value_or(at::Tensor()));
      }
      continue;
    }
    const std::vector<at::Tensor> steps(
        parts.masters.size(),
        at::full({}, static_cast<double>(steps_taken()), parts.masters.front().options()));
    at::_fused_adamw_(parts.masters, parts.gradients, parts.first, parts.second, {}, steps,
                      learning_rate, options_.beta1, options_.beta2, decay, options_.epsilon,
                      /*amsgrad=*/false,
                      /*maximize=*/false, inverse_scale);
  }
}

}  // namespace tanren::parallel
