#include "runtime/kernels/rotary_frequencies.h"

#include <ATen/ATen.h>

#include <numbers>

#include "runtime/base/error.h"

namespace tanren::kernels {
namespace {

void CheckArguments(int64_t head_size, double theta, const RotaryScaling& scaling) {
  if (head_size <= 0 || head_size % 2 != 0 || !(theta > 0) || !(scaling.factor > 0)) {
    throw Error(
        absl::InvalidArgumentError(fmt::format("rotary embedding needs an even head size and a "
                                               "positive theta and factor, not {}, {} and {}",
                                               head_size, theta, scaling.factor)));
  }
  if (scaling.kind == RotaryScaling::Kind::kLlama3 &&
      !(scaling.low_freq_factor > 0 && scaling.low_freq_factor < scaling.high_freq_factor &&
        scaling.original_max_position_embeddings > 0)) {
    throw Error(
        absl::InvalidArgumentError(fmt::format("llama3 rotary scaling needs 0 < low_freq_factor < "
                                               "high_freq_factor and a positive original "
                                               "context, not {}, {} and {}",
                                               scaling.low_freq_factor, scaling.high_freq_factor,
                                               scaling.original_max_position_embeddings)));
  }
}

// Wavelengths above context / low are divided by `factor`, those below context / high kept.
at::Tensor ScaleAsLlama3(const at::Tensor& frequencies, const RotaryScaling& scaling) {
  const double context = static_cast<double>(scaling.original_max_position_embeddings);
  const at::Tensor wavelength = 2 * std::numbers::pi / frequencies;
  const at::Tensor long_waves = wavelength > context / scaling.low_freq_factor;
  const at::Tensor short_waves = wavelength < context / scaling.high_freq_factor;
  const at::Tensor smooth = (context / wavelength - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor ramp = (1 - smooth) * frequencies / scaling.factor + smooth * frequencies;
  return at::where(long_waves, frequencies / scaling.factor,
                   at::where(short_waves, frequencies, ramp));
}

}  // namespace

std::vector<double> InverseFrequencies(int64_t head_size, double theta,
                                       const RotaryScaling& scaling) {
  CheckArguments(head_size, theta, scaling);
  at::NoGradGuard no_grad;
  // fp32 step by step, so that every bit is transformers'.
  const at::Tensor exponents =
      at::arange(0, head_size, 2, at::kLong).to(at::kFloat) / static_cast<double>(head_size);
  at::Tensor frequencies = 1.0 / at::pow(at::Scalar(theta), exponents);
  if (scaling.kind == RotaryScaling::Kind::kLinear) frequencies = frequencies / scaling.factor;
  if (scaling.kind == RotaryScaling::Kind::kLlama3)
    frequencies = ScaleAsLlama3(frequencies, scaling);
  const at::Tensor wide = frequencies.to(at::kDouble).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

}  // namespace tanren::kernels
