// RMSNorm: a warp for each row. Backward, a warp goes through a strip of rows and keeps its sums of
// the weight's derivative in registers; the warps of a block add theirs up, in their order.
#include "runtime/cuda/elements.cuh"
#include "runtime/cuda/row_kernels.h"

namespace tanren::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kWarps = 4;  // of a block
constexpr int kMostPacks = 8;

__device__ float SumOverWarp(float value) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    value += __shfl_xor_sync(0xffffffff, value, lanes);
  }
  return value;
}

template <typename T, int N>
__global__ void NormForwardKernel(NormArguments norm) {
  const int lane = threadIdx.x % kWarp;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (row >= norm.rows) return;
  const T* const x = static_cast<const T*>(norm.x) + row * norm.width;
  float squares = 0;
  for (int64_t i = lane * N; i < norm.width; i += kWarp * N) {
    const Pack<T, N> xs = LoadPack<T, N>(x + i);
    for (int k = 0; k < N; ++k) squares += Load(xs.values[k]) * Load(xs.values[k]);
  }
  const float inverse = rsqrtf(SumOverWarp(squares) / norm.width + norm.epsilon);
  if (lane == 0) norm.inverse_rms[row] = inverse;
  T* const out = static_cast<T*>(norm.out) + row * norm.width;
  for (int64_t i = lane * N; i < norm.width; i += kWarp * N) {
    const Pack<T, N> xs = LoadPack<T, N>(x + i),
                     weights = LoadPack<T, N>(static_cast<const T*>(norm.weight) + i);
    Pack<T, N> outs;
    for (int k = 0; k < N; ++k) {
      Store(&outs.values[k], Load(xs.values[k]) * inverse * Load(weights.values[k]));
    }
    StorePack<T, N>(out + i, outs);
  }
}

// With n = x · r, r = 1 / rms(x) and g = d_out · weight:  d_x = r (g − n mean(g n)), d_weight = Σ
// d_out n. Row b of `partials` is block b's sum. A lane has at most P packs of N.
template <typename T, int N, int P>
__global__ void NormBackwardKernel(NormArguments norm) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  float sums[P][N] = {};
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + warp; row < norm.rows;
       row += static_cast<int64_t>(gridDim.x) * kWarps) {
    const int64_t at = row * norm.width;
    const T* const x = static_cast<const T*>(norm.x) + at;
    const T* const d_out = static_cast<const T*>(norm.d_out) + at;
    const float inverse = norm.inverse_rms[row];
    Pack<T, N> xs[P], ds[P];
    float product = 0;
    for (int p = 0; p < P; ++p) {
      const int64_t i = (p * kWarp + lane) * N;
      if (i >= norm.width) break;
      xs[p] = LoadPack<T, N>(x + i);
      ds[p] = LoadPack<T, N>(d_out + i);
      const Pack<T, N> weights = LoadPack<T, N>(static_cast<const T*>(norm.weight) + i);
      for (int k = 0; k < N; ++k) {
        const float normal = Load(xs[p].values[k]) * inverse, d = Load(ds[p].values[k]);
        sums[p][k] += d * normal;
        product += d * Load(weights.values[k]) * normal;
      }
    }
    const float mean = SumOverWarp(product) / norm.width;
    for (int p = 0; p < P; ++p) {
      const int64_t i = (p * kWarp + lane) * N;
      if (i >= norm.width) break;
      const Pack<T, N> weights = LoadPack<T, N>(static_cast<const T*>(norm.weight) + i);
      Pack<T, N> d_xs;
      for (int k = 0; k < N; ++k) {
        const float normal = Load(xs[p].values[k]) * inverse;
        const float g = Load(ds[p].values[k]) * Load(weights.values[k]);
        Store(&d_xs.values[k], inverse * (g - normal * mean));
      }
      StorePack<T, N>(static_cast<T*>(norm.d_x) + at + i, d_xs);
    }
  }
  __shared__ float of_warps[kWarps][kWarp * N];
  for (int p = 0; p < P; ++p) {
    const int64_t i = (p * kWarp + lane) * N;
    for (int k = 0; k < N; ++k) of_warps[warp][lane * N + k] = sums[p][k];
    __syncthreads();
    if (warp == 0 && i < norm.width) {
      for (int k = 0; k < N; ++k) {
        float sum = 0;
        for (int w = 0; w < kWarps; ++w) sum += of_warps[w][lane * N + k];
        norm.partials[blockIdx.x * norm.width + i + k] = sum;
      }
    }
    __syncthreads();
  }
}

}  // namespace

bool TakesNormBackward(ElementType type, int64_t width) {
  const int64_t pack = type == ElementType::kFloat ? 4 : 8;
  return width > 0 && width % pack == 0 && width <= kMostPacks * kWarp * pack;
}

int NormPartials(int64_t rows) {
  // A few blocks on each multiprocessor of a large GPU, and some rows for each warp.
  constexpr int64_t kMost = 1024, kRowsOfAWarp = 4;
  const int64_t wanted = (rows + kWarps * kRowsOfAWarp - 1) / (kWarps * kRowsOfAWarp);
  return static_cast<int>(wanted < 1 ? 1 : wanted < kMost ? wanted : kMost);
}

cudaError_t LaunchNormForward(ElementType type, const NormArguments& norm, cudaStream_t stream) {
  if (norm.rows * norm.width == 0) return cudaSuccess;
  return VisitRowType(type, [&]<typename T>(T) {
    constexpr int N = kPack<T>;
    const auto blocks = static_cast<unsigned>((norm.rows + kWarps - 1) / kWarps);
    const bool packs = norm.width % N == 0 && AreAligned(norm.x, norm.weight, norm.out);
    if (packs) {
      NormForwardKernel<T, N><<<blocks, kWarps * kWarp, 0, stream>>>(norm);
    } else {
      NormForwardKernel<T, 1><<<blocks, kWarps * kWarp, 0, stream>>>(norm);
    }
    return cudaGetLastError();
  });
}

cudaError_t LaunchNormBackward(ElementType type, const NormArguments& norm, cudaStream_t stream) {
  if (norm.rows * norm.width == 0) return cudaSuccess;
  if (!TakesNormBackward(type, norm.width)) return cudaErrorInvalidValue;
  return VisitRowType(type, [&]<typename T>(T) {
    constexpr int N = kPack<T>;
    const auto launch = [&](auto* kernel) {
      kernel<<<static_cast<unsigned>(NormPartials(norm.rows)), kWarps * kWarp, 0, stream>>>(norm);
    };
    const int64_t packs = (norm.width + kWarp * N - 1) / (kWarp * N);
    if (packs <= 2) {
      launch(NormBackwardKernel<T, N, 2>);
    } else if (packs <= 4) {
      launch(NormBackwardKernel<T, N, 4>);
    } else {
      launch(NormBackwardKernel<T, N, kMostPacks>);
    }
    return cudaGetLastError();
  });
}

}  // namespace tanren::cuda
