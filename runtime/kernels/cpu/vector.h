// Vectors as wide as the instruction set that this file is compiled for, by GCC's vector extension.
// Only for files that CMake compiles once for each instruction set: each has a namespace of its
// own.
#ifndef TANREN_RUNTIME_KERNELS_CPU_VECTOR_H_
#define TANREN_RUNTIME_KERNELS_CPU_VECTOR_H_

#include <cstdint>

namespace tanren::kernels::TANREN_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using Vec = float __attribute__((vector_size(4 * kLanes)));
using IntVec = int32_t __attribute__((vector_size(4 * kLanes)));
using Bits = uint32_t __attribute__((vector_size(4 * kLanes)));
using HalfBits = uint16_t __attribute__((vector_size(2 * kLanes)));
using LooseVec = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
using LooseBits = uint32_t __attribute__((vector_size(4 * kLanes), aligned(2), may_alias));
using LooseHalfBits = uint16_t __attribute__((vector_size(2 * kLanes), aligned(2), may_alias));

struct Bf16 {
  uint16_t bits;
};

#define TANREN_INLINE inline __attribute__((always_inline))

TANREN_INLINE Vec Splat(float x) { return x - Vec{}; }
TANREN_INLINE Vec Load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
TANREN_INLINE Vec Load(const Bf16* p) {
  const HalfBits half = *reinterpret_cast<const LooseHalfBits*>(p);
  return reinterpret_cast<Vec>(__builtin_convertvector(half, Bits) << 16);
}
TANREN_INLINE void Store(float* p, Vec x) { *reinterpret_cast<LooseVec*>(p) = x; }

// To the nearest, ties to even; a NaN stays one.
TANREN_INLINE Bits RoundToBf16(Vec x) {
  const Bits bits = reinterpret_cast<Bits>(x);
  const Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const IntVec is_number = x == x;
  return is_number ? rounded : Bits{} + 0x7fc0;
}
TANREN_INLINE void Store(Bf16* p, Vec x) {
  *reinterpret_cast<LooseHalfBits*>(p) = __builtin_convertvector(RoundToBf16(x), HalfBits);
}

TANREN_INLINE float ToFloat(float x) { return x; }
TANREN_INLINE float ToFloat(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}
TANREN_INLINE void StoreOne(float* p, float x) { *p = x; }
TANREN_INLINE void StoreOne(Bf16* p, float x) {
  p->bits = static_cast<uint16_t>(RoundToBf16(Splat(x))[0]);
}

// The first `count` (below kLanes) elements, zeros after them.
template <typename T>
TANREN_INLINE Vec LoadSome(const T* p, int64_t count) {
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = ToFloat(p[i]);
  return Load(lanes);
}
template <typename T>
TANREN_INLINE void StoreSome(T* p, Vec x, int64_t count) {
  T lanes[kLanes];
  Store(lanes, x);
  for (int64_t i = 0; i < count; ++i) p[i] = lanes[i];
}

// Always in the same order, halves onto halves.
TANREN_INLINE float Sum(Vec x) {
  float lanes[kLanes];
  Store(lanes, x);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}
TANREN_INLINE Vec Max(Vec a, Vec b) { return a > b ? a : b; }
TANREN_INLINE float Max(Vec x) {
  float lanes[kLanes];
  Store(lanes, x);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) {
      lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
    }
  }
  return lanes[0];
}

// e^x to about 1e-7 of itself; 0 below −87.3, infinite above 88.37, NaN for NaN. With n the integer
// nearest to x / ln 2: e^x = 2^n · e^(x − n ln 2), the latter by a polynomial (Cephes).
TANREN_INLINE Vec Exp(Vec x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 · 2^23: adding it rounds to an integer
  const IntVec too_small = x < -87.3f;
  const IntVec too_large = x > 88.7f;
  const Vec shifted = x * 1.44269504f + kMagic;
  const Vec n = shifted - kMagic;
  const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = Splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // The low bits of `shifted` are n: into the exponent with them.
  const Bits power = (reinterpret_cast<Bits>(shifted) << 23) + 0x3f800000u;
  Vec result = p * reinterpret_cast<Vec>(power);
  result = too_small ? Vec{} : result;
  return too_large ? Splat(__builtin_inff()) : result;
}

// Calls step(i, load, store) for each vector of elements begin … end − 1, the last of which may be
// partial.
template <typename Step>
TANREN_INLINE void ForEachVector(int64_t begin, int64_t end, const Step& step) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    step(
        i, [](const auto* p) { return Load(p); }, [](auto* p, Vec x) { Store(p, x); });
  }
  const int64_t rest = end - i;
  if (rest == 0) return;
  step(
      i, [rest](const auto* p) { return LoadSome(p, rest); },
      [rest](auto* p, Vec x) { StoreSome(p, x, rest); });
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_VECTOR_H_
