// AdamW over a flat range: each of master, gradient and moments passes once.
#include "runtime/cuda/elements.cuh"
#include "runtime/cuda/row_kernels.h"

namespace tanren::cuda {
namespace {

constexpr int kPackOfFloats = 4;

template <int N>
__global__ void AdamWKernel(AdamWArguments task) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
  if (i >= task.count) return;
  const float scale = task.inverse_scale == nullptr ? 1.0f : 1.0f / *task.inverse_scale;
  Pack<float, N> masters = LoadPack<float, N>(task.master + i),
                 means = LoadPack<float, N>(task.mean + i),
                 squares = LoadPack<float, N>(task.square + i);
  const Pack<float, N> gradients = LoadPack<float, N>(task.gradient + i);
  for (int k = 0; k < N; ++k) {
    const float g = gradients.values[k] * scale;
    float& mean = means.values[k];
    float& square = squares.values[k];
    mean += (1 - task.beta1) * (g - mean);
    square = task.beta2 * square + (1 - task.beta2) * g * g;
    const float denominator = sqrtf(square) * task.inverse_root_correction2 + task.epsilon;
    masters.values[k] = masters.values[k] * task.keep - task.step_size * mean / denominator;
  }
  StorePack<float, N>(task.master + i, masters);
  StorePack<float, N>(task.mean + i, means);
  StorePack<float, N>(task.square + i, squares);
}

}  // namespace

cudaError_t LaunchAdamW(const AdamWArguments& task, cudaStream_t stream) {
  if (task.count == 0) return cudaSuccess;
  const auto launch = [&](auto* kernel, int pack) {
    kernel<<<BlocksFor(task.count, pack), kThreads, 0, stream>>>(task);
  };
  const bool packs = task.count % kPackOfFloats == 0 &&
                     AreAligned(task.master, task.gradient, task.mean, task.square);
  if (packs) {
    launch(AdamWKernel<kPackOfFloats>, kPackOfFloats);
  } else {
    launch(AdamWKernel<1>, 1);
  }
  return cudaGetLastError();
}

}  // namespace tanren::cuda
