// From logits to the next token.
#ifndef TANREN_TRAINER_ROLLOUT_SAMPLER_H_
#define TANREN_TRAINER_ROLLOUT_SAMPLER_H_

#include <cstdint>
#include <span>

namespace tanren::trainer {

struct SamplingOptions {
  double temperature = 0;  // 0: the likeliest token, the lowest id among equals
  int top_k = 0;           // only the k likeliest; 0: all
  double top_p = 1;        // only the likeliest that together reach this probability, at least one
  uint64_t seed = 0;
};

// Draws a token. A function of its arguments alone: `sequence` and `position` say which draw it is.
// As in transformers, logits are divided by the temperature, then top_k, then top_p apply. Not a
// number anywhere in `logits` is an error (kInternal, thrown).
int32_t SampleToken(std::span<const float> logits, const SamplingOptions& options,
                    uint32_t sequence, uint32_t position);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_SAMPLER_H_
