// Stochastic gradient descent with momentum, as torch.optim.SGD computes it (no dampening); weight
// decay is part of the gradient.
#ifndef TANREN_PARALLEL_OPTIMIZER_SGD_H_
#define TANREN_PARALLEL_OPTIMIZER_SGD_H_

#include <vector>

#include "parallel/optimizer/optimizer.h"

namespace tanren::parallel {

struct SgdOptions {
  double momentum = 0;
  double weight_decay = 0;  // only where a shard says so
  bool nesterov = false;    // needs momentum
};

// State: "momentum_buffer", none without momentum.
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<TrainableShard> shards, const SgdOptions& options);
  std::vector<OptimizerState> State() override;

 private:
  void Update(double learning_rate, const std::optional<at::Tensor>& inverse_scale) override;

  SgdOptions options_;
  std::vector<at::Tensor> momenta_;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_OPTIMIZER_SGD_H_
