#include "runtime/kernels/rotary.h"

#include <ATen/ATen.h>

#include "runtime/base/error.h"
#include "runtime/kernels/composed.h"

namespace tanren::kernels {

RotaryTable MakeRotaryTable(std::span<const double> inverse_frequencies,
                            const at::Tensor& positions_T, at::ScalarType dtype) {
  at::NoGradGuard no_grad;
  const int64_t half = static_cast<int64_t>(inverse_frequencies.size());
  at::Tensor frequencies = at::empty({half}, at::kFloat);
  for (int64_t i = 0; i < half; ++i) {
    frequencies.data_ptr<float>()[i] = static_cast<float>(inverse_frequencies[i]);
  }
  const at::Tensor angles =
      positions_T.to(at::kFloat).unsqueeze(1) * frequencies.to(positions_T.device()).unsqueeze(0);
  const auto both_halves = [&](const at::Tensor& x) { return at::cat({x, x}, 1).to(dtype); };
  return {both_halves(at::cos(angles)), both_halves(at::sin(angles))};
}

at::Tensor Rotary(const at::Tensor& x_THd, const RotaryTable& table) {
  TANREN_CHECK(x_THd.dim() == 3 && table.cos_Td.dim() == 2 && x_THd.size(2) % 2 == 0 &&
                   x_THd.size(0) == table.cos_Td.size(0) && x_THd.size(2) == table.cos_Td.size(1) &&
                   table.cos_Td.sizes() == table.sin_Td.sizes(),
               "rotary embedding of {} with a table of {}", c10::str(x_THd.sizes()),
               c10::str(table.cos_Td.sizes()));
  return ComposedRotary(x_THd, table);
}

}  // namespace tanren::kernels
