// Softmax statistics and derivatives of rows of logits: a block for each row. The statistics take
// one pass (the sums are kept by the largest logit so far), the derivatives one.
#include <cmath>

#include "runtime/cuda/elements.cuh"
#include "runtime/cuda/row_kernels.h"

namespace tanren::cuda {
namespace {

constexpr int kRowThreads = 512;
constexpr int kWarp = 32;

// Of some of a row's z: the largest, Σ exp(z − largest), and Σ z exp(z − largest).
struct Sums {
  float largest = -INFINITY;
  float exponentials = 0;
  float weighted = 0;

  __device__ void Add(float z) {
    if (z > largest) Raise(z);
    // exp(−∞ − −∞) is no number: nothing is added while all are −∞.
    const float e = z == -INFINITY ? 0 : __expf(z - largest);
    exponentials += e;
    weighted += z == -INFINITY ? 0 : z * e;
  }

  __device__ void Add(const Sums& other) {
    if (other.largest > largest) Raise(other.largest);
    const float factor = other.largest == -INFINITY ? 0 : __expf(other.largest - largest);
    // Where the other's largest is −∞, its sums are 0, or NaN.
    exponentials += other.largest == -INFINITY ? other.exponentials : factor * other.exponentials;
    weighted += other.largest == -INFINITY ? other.weighted : factor * other.weighted;
  }

  __device__ void Raise(float to) {
    const float factor = largest == -INFINITY ? 0 : __expf(largest - to);
    if (largest != -INFINITY) {
      exponentials *= factor;
      weighted *= factor;
    }
    largest = to;
  }

  __device__ Sums Down(int lanes) const {
    constexpr unsigned kAll = 0xffffffff;
    return {__shfl_down_sync(kAll, largest, lanes), __shfl_down_sync(kAll, exponentials, lanes),
            __shfl_down_sync(kAll, weighted, lanes)};
  }
};

__device__ Sums OverWarp(Sums sums) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) sums.Add(sums.Down(lanes));
  return sums;
}

template <int N>
__global__ void StatisticsKernel(LogitArguments task) {
  const int64_t row = blockIdx.x;
  const float* const logits = task.logits + row * task.vocabulary;
  Sums sums;
  for (int64_t i = threadIdx.x * N; i < task.vocabulary; i += kRowThreads * N) {
    const Pack<float, N> pack = LoadPack<float, N>(logits + i);
    for (int k = 0; k < N; ++k) sums.Add(pack.values[k] * task.inverse_temperature);
  }
  __shared__ Sums of_warps[kRowThreads / kWarp];
  sums = OverWarp(sums);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = sums;
  __syncthreads();
  if (threadIdx.x >= kWarp) return;
  sums = threadIdx.x < kRowThreads / kWarp ? of_warps[threadIdx.x] : Sums();
  sums = OverWarp(sums);
  if (threadIdx.x != 0) return;
  const float logsumexp = sums.largest + logf(sums.exponentials);
  task.logsumexp[row] = logsumexp;
  task.logprob[row] = logits[task.targets[row]] * task.inverse_temperature - logsumexp;
  if (task.entropy != nullptr) task.entropy[row] = logsumexp - sums.weighted / sums.exponentials;
}

// With z = logits / temperature:  ∂ log p_t / ∂z_j = δ_tj − p_j,  ∂H / ∂z_j = −p_j (log p_j + H).
template <typename T, int N>
__global__ void DerivativesKernel(LogitArguments task) {
  const int64_t row = blockIdx.x;
  float* const logits = task.logits + row * task.vocabulary;
  T* const out = reinterpret_cast<T*>(logits);
  const int64_t target = task.targets[row];
  const float logsumexp = task.logsumexp[row], d_logprob = task.d_logprob[row];
  const float d_entropy = task.d_entropy != nullptr ? task.d_entropy[row] : 0;
  const float entropy = task.d_entropy != nullptr ? task.entropy[row] : 0;
  for (int64_t first = 0; first < task.vocabulary; first += kRowThreads * N) {
    const int64_t i = first + threadIdx.x * N;
    Pack<T, N> derivatives;
    if (i < task.vocabulary) {
      const Pack<float, N> pack = LoadPack<float, N>(logits + i);
      for (int k = 0; k < N; ++k) {
        const float log_p = pack.values[k] * task.inverse_temperature - logsumexp;
        const float by_p = d_logprob + d_entropy * (log_p + entropy);
        const float one = i + k == target ? d_logprob : 0;
        Store(&derivatives.values[k], (one - __expf(log_p) * by_p) * task.inverse_temperature);
      }
    }
    // What this writes, at or before what it read, others may still have to read.
    __syncthreads();
    if (i < task.vocabulary) StorePack<T, N>(out + i, derivatives);
  }
}

constexpr int kPackOfLogits = 4;

bool TakesPacks(const LogitArguments& logits) {
  return logits.vocabulary % kPackOfLogits == 0 && AreAligned(logits.logits);
}

}  // namespace

cudaError_t LaunchLogitStatistics(const LogitArguments& logits, cudaStream_t stream) {
  if (logits.rows == 0) return cudaSuccess;
  const auto rows = static_cast<unsigned>(logits.rows);
  if (TakesPacks(logits)) {
    StatisticsKernel<kPackOfLogits><<<rows, kRowThreads, 0, stream>>>(logits);
  } else {
    StatisticsKernel<1><<<rows, kRowThreads, 0, stream>>>(logits);
  }
  return cudaGetLastError();
}

cudaError_t LaunchLogitDerivatives(ElementType type, const LogitArguments& logits,
                                   cudaStream_t stream) {
  if (logits.rows == 0) return cudaSuccess;
  const auto rows = static_cast<unsigned>(logits.rows);
  return VisitRowType(type, [&]<typename T>(T) {
    if (TakesPacks(logits)) {
      DerivativesKernel<T, kPackOfLogits><<<rows, kRowThreads, 0, stream>>>(logits);
    } else {
      DerivativesKernel<T, 1><<<rows, kRowThreads, 0, stream>>>(logits);
    }
    return cudaGetLastError();
  });
}

}  // namespace tanren::cuda
