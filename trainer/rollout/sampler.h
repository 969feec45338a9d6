// From logits to the next token.
#ifndef TANREN_TRAINER_ROLLOUT_SAMPLER_H_
#define TANREN_TRAINER_ROLLOUT_SAMPLER_H_

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace tanren::trainer {

// In the order of their effect, which is transformers': bias and penalty change the logits, also
// where the likeliest token is taken; the others say what is drawn from them.
struct SamplingOptions {
  std::map<int32_t, float> logit_bias;  // token id -> added to its logit; ids below the vocabulary
  // 0.001 to 1000. Logits of tokens that came before are divided by this where positive, else
  // multiplied: above 1 repeats less, below 1 more. Sec. 4.1, arXiv:1909.05858.
  double repetition_penalty = 1;
  double temperature = 0;  // 0: the likeliest token, the lowest id among equals
  int top_k = 0;           // only the k likeliest, the lowest ids among equals; 0: all
  double top_p = 1;        // only the likeliest that together reach this probability, at least one
  double min_p = 0;        // only those with this share of the likeliest's probability, or more
  uint64_t seed = 0;
};

// The tokens that may be drawn, and how probable each is. Not empty; the probabilities' sum is 1.
struct TokenChoices {
  std::vector<int32_t> ids;
  std::vector<double> probabilities;
};

// What `options` make of the logits. `seen`: the tokens of the prompt and those generated, which
// repetition_penalty is about; repeated ones count once. Of temperature 0 it is one token. Not a
// number anywhere in `logits`, or an id outside of it, is an error (kInternal, thrown).
TokenChoices ChoicesOf(std::span<const float> logits, std::span<const int32_t> seen,
                       const SamplingOptions& options);

// Draws one of ChoicesOf. A function of its arguments alone: `sequence` and `position` say which
// draw it is.
int32_t SampleToken(std::span<const float> logits, std::span<const int32_t> seen,
                    const SamplingOptions& options, uint32_t sequence, uint32_t position);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_SAMPLER_H_
