#include "runtime/formats/rope_scaling.h"

#include <cmath>
#include <numbers>

namespace tanren::formats {

double Llama3Divisor(const RopeScaling& scaling, double theta, int64_t pair, int64_t head_dim) {
  const double exponent = 2.0 * static_cast<double>(pair) / static_cast<double>(head_dim);
  const double wavelength = 2.0 * std::numbers::pi * std::pow(theta, exponent);
  const auto context = static_cast<double>(scaling.original_max_position_embeddings);
  if (wavelength < context / scaling.high_freq_factor) return 1.0;
  if (wavelength > context / scaling.low_freq_factor) return scaling.factor;
  const double smooth = (context / wavelength - scaling.low_freq_factor) /
                        (scaling.high_freq_factor - scaling.low_freq_factor);
  return 1.0 / ((1.0 - smooth) / scaling.factor + smooth);
}

}  // namespace tanren::formats
