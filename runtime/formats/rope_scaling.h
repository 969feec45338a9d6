// By how much Llama 3.1's rotary scaling stretches each frequency.
#ifndef TANREN_RUNTIME_FORMATS_ROPE_SCALING_H_
#define TANREN_RUNTIME_FORMATS_ROPE_SCALING_H_

#include <cstdint>

#include "runtime/formats/model_config.h"

namespace tanren::formats {

// What the frequency of dimension pair `pair` of a head is divided by. `scaling` is of kind
// kLlama3.
double Llama3Divisor(const RopeScaling& scaling, double theta, int64_t pair, int64_t head_dim);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_ROPE_SCALING_H_
