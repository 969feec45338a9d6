// What is minimised. An objective sees one micro-batch's hidden states at a time and gives an
// un-normalised loss sum and its derivative; the loop divides by the step's weight, which is known
// before the first forward.
#ifndef TANREN_TRAINER_OBJECTIVE_OBJECTIVE_H_
#define TANREN_TRAINER_OBJECTIVE_OBJECTIVE_H_

#include <ATen/core/Tensor.h>

#include <span>

#include "parallel/engine/engine.h"
#include "runtime/kernels/linear_cross_entropy.h"
#include "trainer/data/batch.h"

namespace tanren::trainer {

// The hidden states after the last unit and the output projection, as the engine hands them to the
// head; gradients are added to `weight_gradient_VD` (fp32; undefined where frozen).
struct HeadInput {
  at::Tensor hidden_TD;
  at::Tensor weight_VD;
  at::Tensor weight_gradient_VD;
};

class Objective {
 public:
  virtual ~Objective() = default;
  // Sum of the loss over the micro-batch, and the derivative of derivative_scale × that sum.
  virtual parallel::HeadResult LossAndDerivative(const Batch& batch, const HeadInput& head,
                                                 double derivative_scale) const = 0;
};

// The derivatives of a loss sum by each token's statistics: tensors where those lie, beside the
// hidden states. (A batch stays on the host; kernels::ToDevice moves what a loss needs of it.)
struct LossTerm {
  at::Tensor sum;          // [] fp64
  at::Tensor d_logprob_T;  // fp32
  at::Tensor d_entropy_T;  // fp32; undefined where the loss doesn't depend on it
};

// An objective whose derivative isn't known before the log-probabilities are: the head runs over
// its chunks twice. A loss is one function of the statistics.
class StatisticsObjective : public Objective {
 public:
  parallel::HeadResult LossAndDerivative(const Batch& batch, const HeadInput& head,
                                         double derivative_scale) const final;

 protected:
  virtual bool needs_entropy() const { return false; }
  virtual LossTerm Loss(const kernels::TokenStatistics& statistics, const Batch& batch) const = 0;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_OBJECTIVE_OBJECTIVE_H_
