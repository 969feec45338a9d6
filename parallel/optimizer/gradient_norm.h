// The length of the whole gradient, over all groups and ranks.
#ifndef TANREN_PARALLEL_OPTIMIZER_GRADIENT_NORM_H_
#define TANREN_PARALLEL_OPTIMIZER_GRADIENT_NORM_H_

#include <string>
#include <vector>

#include "parallel/layout/trainable_shard.h"
#include "runtime/comm/communicator.h"

namespace tanren::parallel {

struct GradientNorm {
  double norm = 0;  // Euclidean; not finite if any element isn't
  // Groups whose gradient holds a NaN or an infinity on some rank, in the order of the shards.
  std::vector<std::string> not_finite;
  bool finite() const { return not_finite.empty(); }
};

// A collective: the same result on every rank. One pass over the gradients finds norm and culprits
// alike: squares of fp32 summed in fp64 can't overflow. Sums run in a fixed order, over fixed
// blocks and then over ranks, so the result doesn't depend on the number of threads.
GradientNorm GlobalGradientNorm(const std::vector<TrainableShard>& shards,
                                comm::Communicator& shard_axis);

// What to multiply gradients by so that their norm is at most about `max_norm`, as torch's
// clip_grad_norm_: min(1, max_norm / (norm + 1e-6)).
double ClipFactor(double norm, double max_norm);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_OPTIMIZER_GRADIENT_NORM_H_
