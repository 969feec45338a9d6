#include "parallel/optimizer/gradient_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/kernels/device_copy.h"
#include "runtime/kernels/device_kernels.h"

namespace tanren::parallel {
namespace {

constexpr int64_t kBlock = 1 << 15;

double BlockSumOfSquares(const float* values, int64_t count) {
  // Independent sums let the processor overlap additions.
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(values[i]) * values[i];
  return std::accumulate(std::begin(sums), std::end(sums), 0.0);
}

double SumOfSquares(const at::Tensor& gradient) {
  const float* values = gradient.const_data_ptr<float>();
  const int64_t numel = gradient.numel();
  std::vector<double> blocks((numel + kBlock - 1) / kBlock);
  at::parallel_for(0, static_cast<int64_t>(blocks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kBlock;
      blocks[block] = BlockSumOfSquares(values + first, std::min(kBlock, numel - first));
    }
  });
  return std::accumulate(blocks.begin(), blocks.end(), 0.0);
}

// [shards] fp64, where the gradients lie.
at::Tensor SumsOfSquares(const std::vector<TrainableShard>& shards, at::Device device) {
  std::vector<at::Tensor> on_device;
  std::vector<double> here;
  for (const TrainableShard& shard : shards) {
    const kernels::DeviceKernels* const fused = kernels::DeviceKernelsFor(shard.gradient);
    if (device.is_cpu()) {
      here.push_back(SumOfSquares(shard.gradient));
    } else if (fused != nullptr) {
      on_device.push_back(fused->SumOfSquares(shard.gradient));
    } else {
      on_device.push_back(
          at::linalg_vector_norm(shard.gradient, 2, {}, false, at::kDouble).square());
    }
  }
  if (on_device.empty()) return kernels::ToDevice(at::tensor(here, at::kDouble), device);
  return at::stack(on_device);
}

}  // namespace

GradientNorm GlobalGradientNorm(const std::vector<TrainableShard>& shards,
                                comm::Communicator& shard_axis) {
  const at::NoGradGuard no_grad;
  at::Tensor total = SumsOfSquares(shards, shard_axis.device_type());
  shard_axis.AllReduce(total, comm::ReduceOp::kSum, "gradient norm")->Wait();
  // The one wait of an update: whether it is made at all is decided here.
  total = kernels::ToHost(total);

  GradientNorm result;
  double sum = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const double squares = total.const_data_ptr<double>()[i];
    sum += squares;
    if (!std::isfinite(squares)) result.not_finite.push_back(shards[i].group);
  }
  result.norm = std::sqrt(sum);
  return result;
}

double ClipFactor(double norm, double max_norm) { return std::min(1.0, max_norm / (norm + 1e-6)); }

}  // namespace tanren::parallel
