// Rotary position embedding: a thread turns the same places of both halves of a head.
#include "runtime/cuda/elements.cuh"
#include "runtime/cuda/row_kernels.h"

namespace tanren::cuda {
namespace {

template <typename T, int N>
__global__ void RotateKernel(RotaryArguments rotary, float direction) {
  const int64_t half = rotary.size / 2, packs = half / N;
  const int64_t number = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (number >= rotary.tokens * rotary.heads * packs) return;
  const int64_t place = number % packs * N;
  const int64_t head = number / packs % rotary.heads, token = number / packs / rotary.heads;
  const T* const x = static_cast<const T*>(rotary.x) + token * rotary.token_stride +
                     head * rotary.head_stride + place;
  const int64_t row = token * rotary.size + place;
  const Pack<T, N> lows = LoadPack<T, N>(x), highs = LoadPack<T, N>(x + half),
                   cosines = LoadPack<T, N>(static_cast<const T*>(rotary.cos) + row),
                   sines = LoadPack<T, N>(static_cast<const T*>(rotary.sin) + row);
  Pack<T, N> out_lows, out_highs;
  for (int k = 0; k < N; ++k) {
    const float low = Load(lows.values[k]), high = Load(highs.values[k]);
    const float cos = Load(cosines.values[k]), sin = direction * Load(sines.values[k]);
    Store(&out_lows.values[k], low * cos - high * sin);
    Store(&out_highs.values[k], high * cos + low * sin);
  }
  T* const out = static_cast<T*>(rotary.out) + (token * rotary.heads + head) * rotary.size + place;
  StorePack<T, N>(out, out_lows);
  StorePack<T, N>(out + half, out_highs);
}

}  // namespace

cudaError_t LaunchRotate(ElementType type, const RotaryArguments& rotary, cudaStream_t stream) {
  if (rotary.tokens * rotary.heads * rotary.size == 0) return cudaSuccess;
  return VisitRowType(type, [&]<typename T>(T) {
    constexpr int N = kPack<T>;
    const auto launch = [&](auto* kernel, int each) {
      const int64_t pairs = rotary.tokens * rotary.heads * (rotary.size / 2);
      kernel<<<BlocksFor(pairs, each), kThreads, 0, stream>>>(rotary,
                                                              rotary.backward ? -1.0f : 1.0f);
    };
    const bool packs = rotary.size / 2 % N == 0 && rotary.token_stride % N == 0 &&
                       rotary.head_stride % N == 0 &&
                       AreAligned(rotary.x, rotary.cos, rotary.sin, rotary.out);
    if (packs) {
      launch(RotateKernel<T, N>, N);
    } else {
      launch(RotateKernel<T, 1>, 1);
    }
    return cudaGetLastError();
  });
}

}  // namespace tanren::cuda
