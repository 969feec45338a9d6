// Elements of the floating-point types, widened to what they are computed in and rounded once, and
// several at a time.
#ifndef TANREN_RUNTIME_CUDA_ELEMENTS_CUH_
#define TANREN_RUNTIME_CUDA_ELEMENTS_CUH_

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "runtime/cuda/element_type.h"

namespace tanren::cuda {

// The conversions of bf16 work on a T4 (sm_75) too.
__device__ inline float Load(float value) { return value; }
__device__ inline double Load(double value) { return value; }
__device__ inline float Load(__half value) { return __half2float(value); }
__device__ inline float Load(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ inline void Store(float* to, float value) { *to = value; }
__device__ inline void Store(double* to, double value) { *to = value; }
__device__ inline void Store(__half* to, float value) { *to = __float2half_rn(value); }
__device__ inline void Store(__nv_bfloat16* to, float value) { *to = __float2bfloat16_rn(value); }

// N neighbours, moved in one access; their place in memory is a multiple of their size.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T values[N];
};

template <typename T, int N>
__device__ Pack<T, N> LoadPack(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <typename T, int N>
__device__ void StorePack(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// How many a thread moves in an access: 16 bytes.
template <typename T>
inline constexpr int kPack = 16 / sizeof(T);

// Of kernels whose every thread has one pack: threads of a block, and the blocks for `count`
// elements.
inline constexpr int kThreads = 256;
inline unsigned BlocksFor(int64_t count, int pack) {
  const int64_t elements = static_cast<int64_t>(kThreads) * pack;
  return static_cast<unsigned>((count + elements - 1) / elements);
}

// Whether packs of 16 bytes begin at all of these.
template <typename... Pointers>
bool AreAligned(const Pointers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// Calls visit(T()) with the element type. Of those that kernels of rows take.
template <typename Visit>
cudaError_t VisitRowType(ElementType type, const Visit& visit) {
  switch (type) {
    case ElementType::kFloat:
      return visit(float());
    case ElementType::kHalf:
      return visit(__half());
    case ElementType::kBFloat16:
      return visit(__nv_bfloat16());
    case ElementType::kDouble:
      break;
  }
  return cudaErrorInvalidValue;
}

}  // namespace tanren::cuda

#endif  // TANREN_RUNTIME_CUDA_ELEMENTS_CUH_
