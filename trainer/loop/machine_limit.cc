#include "trainer/loop/machine_limit.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "runtime/kernels/products.h"

namespace tanren::trainer {

double MeasureProductRate(at::ScalarType dtype, at::Device device) {
  using Clock = std::chrono::steady_clock;
  // A GPU is through with a small one before the next can be launched.
  const int64_t size = device.is_cpu() ? 1024 : 8192;
  const at::NoGradGuard no_grad;
  const auto options = at::TensorOptions(dtype).device(device);
  const at::Tensor a = at::ones({size, size}, options), b = at::ones({size, size}, options);
  const at::Tensor product = at::empty({size, size}, options);
  const double operations = 2.0 * std::pow(size, 3);
  double best = 0, spent = 0;
  for (int round = 0; round < 3 || (round < 50 && spent < 0.2); ++round) {
    const auto start = Clock::now();
    kernels::Multiply(a, b.t(), product);
    product[0][0].item();  // a GPU has finished when this can be read
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    spent += seconds;
    best = std::max(best, operations / seconds);
  }
  return best;
}

}  // namespace tanren::trainer
