// Next-token prediction: fine-tuning, instruction tuning and pre-training differ only in which
// tokens have weight.
#ifndef TANREN_TRAINER_OBJECTIVE_NEXT_TOKEN_H_
#define TANREN_TRAINER_OBJECTIVE_NEXT_TOKEN_H_

#include "trainer/objective/objective.h"

namespace tanren::trainer {

// −Σ weight · log p(target), in nats. The derivative by each logit is known beforehand, so the head
// runs once.
class NextToken final : public Objective {
 public:
  parallel::HeadResult LossAndDerivative(const Batch& batch, const HeadInput& head,
                                         double derivative_scale) const override;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_OBJECTIVE_NEXT_TOKEN_H_
