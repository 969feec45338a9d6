// How likely a model finds a text.
#ifndef TANREN_TRAINER_ROLLOUT_SCORING_H_
#define TANREN_TRAINER_ROLLOUT_SCORING_H_

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/data/batch.h"
#include "trainer/rollout/resident_model.h"

namespace tanren::trainer {

// log p(token i + 1 | tokens 0 … i), in nats: one fewer than tokens. Throws for none.
std::vector<float> TokenLogProbs(const ResidentModel& model, std::span<const int32_t> tokens);

// Sum of weight · −log p over the batch's targets, for each document.
std::vector<double> DocumentLosses(const ResidentModel& model, const Batch& batch);
// Sum of the weights, for each document.
std::vector<double> DocumentWeights(const Batch& batch);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_SCORING_H_
