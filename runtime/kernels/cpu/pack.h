// Copies blocks of matrices, widened to fp32, into the orders that MultiplyTile reads.
#ifndef TANREN_RUNTIME_KERNELS_CPU_PACK_H_
#define TANREN_RUNTIME_KERNELS_CPU_PACK_H_

#include "runtime/kernels/cpu/blocks.h"
#include "runtime/kernels/cpu/tile.h"

namespace tanren::kernels::TANREN_ISA {

// `count` contiguous values.
template <typename T>
TANREN_INLINE void CopyWidened(const T* from, int64_t count, float* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(to + i, Load(from + i));
  for (; i < count; ++i) to[i] = ToFloat(from[i]);
}

// Rows with contiguous columns: to[row · to_stride + column]; rows from `rows` to `padded_rows`
// zero.
template <typename T>
void PackRows(const T* from, int64_t stride, int64_t rows, int64_t padded_rows, int64_t columns,
              float* to, int64_t to_stride) {
  for (int64_t row = 0; row < rows; ++row) {
    CopyWidened(from + row * stride, columns, to + row * to_stride);
  }
  for (int64_t row = rows; row < padded_rows; ++row) Zero(to + row * to_stride, columns);
}

// Panels of `Width` columns with contiguous columns: to[panel][row][column of the panel]; the last
// panel's missing columns are zero.
template <int Width, typename T>
void PackPanels(const T* from, int64_t stride, int64_t rows, int64_t columns, float* to) {
  for (int64_t first = 0; first < columns; first += Width) {
    const int64_t used = columns - first < Width ? columns - first : Width;
    for (int64_t row = 0; row < rows; ++row) {
      const T* source = from + row * stride + first;
      if (used == Width) {
        for (int i = 0; i < Width; ++i) to[i] = ToFloat(source[i]);
      } else {
        for (int i = 0; i < Width; ++i) to[i] = i < used ? ToFloat(source[i]) : 0;
      }
      to += Width;
    }
  }
}

using Vec4 = float __attribute__((vector_size(16)));
using LooseVec4 = float __attribute__((vector_size(16), aligned(4), may_alias));
using Half4 = uint16_t __attribute__((vector_size(8), aligned(2), may_alias));
using Bits4 = uint32_t __attribute__((vector_size(16)));

TANREN_INLINE Vec4 Load4(const float* p) { return *reinterpret_cast<const LooseVec4*>(p); }
TANREN_INLINE Vec4 Load4(const Bf16* p) {
  const Half4 half = *reinterpret_cast<const Half4*>(p);
  return reinterpret_cast<Vec4>(__builtin_convertvector(half, Bits4) << 16);
}

// Four rows of four become four columns, `to_stride` apart.
template <typename T>
TANREN_INLINE void Transpose4(const T* from, int64_t stride, float* to, int64_t to_stride) {
  const Vec4 r0 = Load4(from), r1 = Load4(from + stride);
  const Vec4 r2 = Load4(from + 2 * stride), r3 = Load4(from + 3 * stride);
  const Vec4 a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
  const Vec4 b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
  const Vec4 c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  const Vec4 d = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  *reinterpret_cast<LooseVec4*>(to) = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  *reinterpret_cast<LooseVec4*>(to + to_stride) = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  *reinterpret_cast<LooseVec4*>(to + 2 * to_stride) = __builtin_shufflevector(c, d, 0, 1, 4, 5);
  *reinterpret_cast<LooseVec4*>(to + 3 * to_stride) = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

// The same panels of a matrix whose rows are contiguous (`stride` apart are its columns): element
// (row, column) is from[column · stride + row].
template <int Width, typename T>
void PackPanelsTransposed(const T* from, int64_t stride, int64_t rows, int64_t columns, float* to) {
  for (int64_t first = 0; first < columns; first += Width) {
    const int64_t used = columns - first < Width ? columns - first : Width;
    if (used < Width) Zero(to, rows * Width);
    int64_t i = 0;
    for (; i + 4 <= used; i += 4) {
      const T* source = from + (first + i) * stride;
      int64_t row = 0;
      for (; row + 4 <= rows; row += 4) {
        Transpose4(source + row, stride, to + row * Width + i, Width);
      }
      for (; row < rows; ++row) {
        for (int j = 0; j < 4; ++j) to[row * Width + i + j] = ToFloat(source[j * stride + row]);
      }
    }
    for (; i < used; ++i) {
      const T* source = from + (first + i) * stride;
      for (int64_t row = 0; row < rows; ++row) to[row * Width + i] = ToFloat(source[row]);
    }
    to += rows * Width;
  }
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_PACK_H_
