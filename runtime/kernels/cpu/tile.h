// The innermost step of a matrix product: a tile of the result that stays in registers.
#ifndef TANREN_RUNTIME_KERNELS_CPU_TILE_H_
#define TANREN_RUNTIME_KERNELS_CPU_TILE_H_

#include "runtime/kernels/cpu/vector.h"

namespace tanren::kernels::TANREN_ISA {

// Accumulators, two vectors of `b` and one of `a` fill the registers (16, or 32 with AVX-512).
constexpr int kTileRows = kLanes == 16 ? 12 : 6;
constexpr int kTileColumns = 2 * kLanes;

// c[kTileRows, kTileColumns] += or = a · b over `depth`. Element (i, k) of `a` is
// a[i · row_stride + k · column_stride]; `b` holds kTileColumns values for each k, one after
// another.
TANREN_INLINE void MultiplyTile(int64_t depth, const float* a, int64_t row_stride,
                                int64_t column_stride, const float* b, float* c, int64_t c_stride,
                                bool add) {
  Vec sums[kTileRows][2] = {};
  for (int64_t k = 0; k < depth; ++k) {
    const Vec b0 = Load(b), b1 = Load(b + kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < kTileRows; ++i) {
      const Vec factor = Splat(a[i * row_stride]);
      sums[i][0] += factor * b0;
      sums[i][1] += factor * b1;
    }
    a += column_stride;
    b += kTileColumns;
  }
#pragma GCC unroll 12
  for (int i = 0; i < kTileRows; ++i) {
    float* row = c + i * c_stride;
    Store(row, add ? Load(row) + sums[i][0] : sums[i][0]);
    Store(row + kLanes, add ? Load(row + kLanes) + sums[i][1] : sums[i][1]);
  }
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_TILE_H_
