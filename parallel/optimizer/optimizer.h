// What turns gradients into new parameters. An optimizer works on this rank's shards alone: it is
// element-wise, so the result doesn't depend on how the elements are split over ranks.
#ifndef TANREN_PARALLEL_OPTIMIZER_OPTIMIZER_H_
#define TANREN_PARALLEL_OPTIMIZER_OPTIMIZER_H_

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "parallel/layout/trainable_shard.h"

namespace tanren::parallel {

// One flat fp32 tensor of state, element for element beside the master of shard `shard`.
struct OptimizerState {
  std::string name;  // "exp_avg"
  size_t shard = 0;
  at::Tensor values;  // the optimizer's own: writing to it is how a checkpoint is loaded
};

class Optimizer {
 public:
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;
  virtual ~Optimizer() = default;

  // One step over all shards. Gradients are taken times `gradient_scale` (not 0): clipping and loss
  // scaling cost no pass of their own. Leaves the gradients' values undefined.
  void Step(double learning_rate, double gradient_scale);

  // Steps taken so far; set when a checkpoint is loaded.
  int64_t steps_taken() const { return steps_taken_; }
  void set_steps_taken(int64_t steps) { steps_taken_ = steps; }

  // All state, ordered by shard. Names and order are the same on every rank.
  virtual std::vector<OptimizerState> State() = 0;
  const std::vector<TrainableShard>& shards() const { return shards_; }

 protected:
  // Throws Error(kInvalidArgument) unless masters and gradients are flat fp32 tensors of one size
  // and decayed ranges lie inside them.
  explicit Optimizer(std::vector<TrainableShard> shards);

  // Parts of several shards that get the same weight decay.
  struct Parts {
    std::vector<at::Tensor> masters, gradients;
    std::vector<at::Tensor> first, second;  // of the optimizer's state
  };
  // A tensor of zeros beside each master.
  std::vector<at::Tensor> ZerosBesideMasters() const;
  // Cuts shards and `state` into those where weight decay applies (true) and those where it
  // doesn't.
  Parts Cut(bool decayed, const std::vector<at::Tensor>& first,
            const std::vector<at::Tensor>& second) const;

 private:
  // steps_taken() counts the step under way. `inverse_scale`: gradients are divided by this fp32
  // scalar, if there is one.
  virtual void Update(double learning_rate, const std::optional<at::Tensor>& inverse_scale) = 0;

  std::vector<TrainableShard> shards_;
  int64_t steps_taken_ = 0;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_OPTIMIZER_OPTIMIZER_H_
