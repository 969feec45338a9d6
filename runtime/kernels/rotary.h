// Rotary position embedding in the "half split" convention of Hugging Face: element i of a head is
// rotated together with element i + d/2. arXiv:2104.09864
#ifndef TANREN_RUNTIME_KERNELS_ROTARY_H_
#define TANREN_RUNTIME_KERNELS_ROTARY_H_

#include <ATen/core/Tensor.h>

#include <span>

namespace tanren::kernels {

// Cosines and sines of each token's angles, [T, d]; both halves of a row are the same.
struct RotaryTable {
  at::Tensor cos_Td;
  at::Tensor sin_Td;
};

// The table for tokens at these positions ([T] int64), on their device. Angles, cosines and sines
// are computed in fp32 and then rounded to `dtype`, as in transformers. There are d/2 frequencies.
RotaryTable MakeRotaryTable(std::span<const double> inverse_frequencies,
                            const at::Tensor& positions_T, at::ScalarType dtype);

// `x_THd` [T, heads, d] with each head rotated by its token's angles; x's dtype. Differentiable in
// x.
at::Tensor Rotary(const at::Tensor& x_THd, const RotaryTable& table);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_ROTARY_H_
