// Copies from one element type to another, 16 bytes of the narrower at a time.
#include "runtime/cuda/elements.cuh"
#include "runtime/cuda/row_kernels.h"

namespace tanren::cuda {
namespace {

template <typename From, typename To, int N>
__global__ void ConvertKernel(const From* from, To* to, int64_t count) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
  if (i >= count) return;
  Pack<To, N> out;
  // An access is of 16 bytes at most.
  constexpr int M = N < kPack<From> ? N : kPack<From>;
  for (int first = 0; first < N; first += M) {
    const Pack<From, M> in = LoadPack<From, M>(from + i + first);
    for (int k = 0; k < M; ++k) Store(&out.values[first + k], Load(in.values[k]));
  }
  constexpr int L = N < kPack<To> ? N : kPack<To>;
  for (int first = 0; first < N; first += L) {
    Pack<To, L> part;
    for (int k = 0; k < L; ++k) part.values[k] = out.values[first + k];
    StorePack<To, L>(to + i + first, part);
  }
}

}  // namespace

cudaError_t LaunchConvert(ElementType from_type, const void* from, ElementType to_type, void* to,
                          int64_t count, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return VisitRowType(from_type, [&]<typename From>(From) {
    return VisitRowType(to_type, [&]<typename To>(To) {
      constexpr int N = kPack < From >> kPack<To> ? kPack<From> : kPack<To>;
      const auto launch = [&](auto* kernel, int each) {
        kernel<<<BlocksFor(count, each), kThreads, 0, stream>>>(static_cast<const From*>(from),
                                                                static_cast<To*>(to), count);
      };
      if (count % N == 0 && AreAligned(from, to)) {
        launch(ConvertKernel<From, To, N>, N);
      } else {
        launch(ConvertKernel<From, To, 1>, 1);
      }
      return cudaGetLastError();
    });
  });
}

}  // namespace tanren::cuda
