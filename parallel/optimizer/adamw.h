// AdamW: Adam with weight decay apart from the gradient. Algorithm 2, arXiv:1711.05101; bias
// correction and epsilon (added outside the square root) as torch.optim.AdamW has them.
#ifndef TANREN_PARALLEL_OPTIMIZER_ADAMW_H_
#define TANREN_PARALLEL_OPTIMIZER_ADAMW_H_

#include <vector>

#include "parallel/optimizer/optimizer.h"

namespace tanren::parallel {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;  // times the learning rate; only where a shard says so
};

// One pass over master, gradient and both moments; state "exp_avg" and "exp_avg_sq".
class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<TrainableShard> shards, const AdamWOptions& options);
  std::vector<OptimizerState> State() override;

 private:
  void Update(double learning_rate, const std::optional<at::Tensor>& inverse_scale) override;

  AdamWOptions options_;
  std::vector<at::Tensor> means_;    // of gradients
  std::vector<at::Tensor> squares_;  // mean squares of gradients
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_OPTIMIZER_ADAMW_H_
