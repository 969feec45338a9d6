// Σ x², in fp64: each block's sum, then one block's sum of these.
#include "runtime/cuda/elements.cuh"
#include "runtime/cuda/row_kernels.h"

namespace tanren::cuda {
namespace {

constexpr int kPackOfFloats = 4;

// Thread 0 has the sum.
__device__ double SumOverBlock(double value) {
  __shared__ double sums[kThreads];
  sums[threadIdx.x] = value;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return sums[0];
}

template <int N>
__global__ void SquaresKernel(const float* x, int64_t count, double* partials) {
  double sum = 0;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads * N;
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N; i < count;
       i += step) {
    const Pack<float, N> pack = LoadPack<float, N>(x + i);
    for (int k = 0; k < N; ++k) {
      const double value = pack.values[k];
      sum += value * value;
    }
  }
  sum = SumOverBlock(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

__global__ void SumKernel(const double* partials, double* sum) {
  double value = 0;
  for (int i = threadIdx.x; i < kSquaresPartials; i += kThreads) value += partials[i];
  value = SumOverBlock(value);
  if (threadIdx.x == 0) *sum = value;
}

}  // namespace

cudaError_t LaunchSumOfSquares(const float* x, int64_t count, double* partials, double* sum,
                               cudaStream_t stream) {
  if (count % kPackOfFloats == 0 && AreAligned(x)) {
    SquaresKernel<kPackOfFloats><<<kSquaresPartials, kThreads, 0, stream>>>(x, count, partials);
  } else {
    SquaresKernel<1><<<kSquaresPartials, kThreads, 0, stream>>>(x, count, partials);
  }
  SumKernel<<<1, kThreads, 0, stream>>>(partials, sum);
  return cudaGetLastError();
}

}  // namespace tanren::cuda
