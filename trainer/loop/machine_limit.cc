#include "trainer/loop/machine_limit.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

namespace tanren::trainer {

double MeasureProductRate(at::ScalarType dtype, at::Device device) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kSize = 1024;
  const at::NoGradGuard no_grad;
  const auto options = at::TensorOptions(dtype).device(device);
  const at::Tensor a = at::ones({kSize, kSize}, options), b = at::ones({kSize, kSize}, options);
  at::Tensor product = at::empty({kSize, kSize}, options);
  const double operations = 2.0 * kSize * kSize * kSize;
  double best = 0, spent = 0;
  for (int round = 0; round < 3 || (round < 50 && spent < 0.2); ++round) {
    const auto start = Clock::now();
    at::mm_out(product, a, b);
    product[0][0].item();  // a GPU has finished when this can be read
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    spent += seconds;
    best = std::max(best, operations / seconds);
  }
  return best;
}

}  // namespace tanren::trainer
