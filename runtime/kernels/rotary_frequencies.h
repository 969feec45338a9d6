// How fast each pair of a head's elements turns, and how that is stretched for long contexts.
#ifndef TANREN_RUNTIME_KERNELS_ROTARY_FREQUENCIES_H_
#define TANREN_RUNTIME_KERNELS_ROTARY_FREQUENCIES_H_

#include <cstdint>
#include <vector>

namespace tanren::kernels {

// `rope_scaling` of a Hugging Face config.json.
struct RotaryScaling {
  enum class Kind {
    kNone,
    kLinear,  // every frequency divided by `factor`
    kLlama3,  // low frequencies divided by `factor`, high ones kept, a ramp between
  };
  Kind kind = Kind::kNone;
  double factor = 1;
  // Of kLlama3: where the ramp ends and starts, in turns over the original context.
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int64_t original_max_position_embeddings = 8192;
  bool operator==(const RotaryScaling&) const = default;
};

// theta^(−2i / head_size) for i below head_size / 2, scaled. Radians a position; the fp32 values
// that transformers computes. Throws for an odd head size or a scaling that makes no sense.
std::vector<double> InverseFrequencies(int64_t head_size, double theta,
                                       const RotaryScaling& scaling = {});

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_ROTARY_FREQUENCIES_H_
