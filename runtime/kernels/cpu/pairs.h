// Operands of products on the CPU's bf16 units (AVX512_BF16): an instruction multiplies pairs that
// are next to each other along the depth and adds both to an fp32 sum, so operands are packed as
// pairs, 32 bits each. What is fp32 is rounded while it is packed.
#ifndef TANREN_RUNTIME_KERNELS_CPU_PAIRS_H_
#define TANREN_RUNTIME_KERNELS_CPU_PAIRS_H_

#include <immintrin.h>

#include "runtime/kernels/cpu/blocks.h"
#include "runtime/kernels/cpu/vector.h"

namespace tanren::kernels::TANREN_ISA {

// 24 sums, four vectors of b and one of a fill the 32 registers.
constexpr int kTileRows = 6;
constexpr int kTileColumns = 64;
constexpr int kPairLanes = 16;  // pairs in a vector
constexpr int kTileVectors = kTileColumns / kPairLanes;

TANREN_INLINE int64_t PairsOf(int64_t depth) { return (depth + 1) / 2; }

TANREN_INLINE __mmask16 First(int64_t count) {
  return count >= 16 ? 0xffff : static_cast<__mmask16>((1u << count) - 1);
}

// Sixteen elements as bf16 in the low half of each lane.
TANREN_INLINE __m512i Low(const Bf16* p, __mmask16 mask) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p));
}
TANREN_INLINE __m512i Low(const float* p, __mmask16 mask) {
  return reinterpret_cast<__m512i>(
      RoundToBf16(reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(mask, p))));
}
TANREN_INLINE __m512i Joined(__m512i first, __m512i second) {
  return _mm512_or_si512(first, _mm512_slli_epi32(second, 16));
}

// Up to 16 pairs of contiguous elements, `count` of which are there.
TANREN_INLINE __m512i Pairs(const Bf16* p, int64_t count) {
  if (count >= 32) return _mm512_loadu_si512(p);
  return _mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << count) - 1), p);
}
TANREN_INLINE __m512i Pairs(const float* p, int64_t count) {
  const __m512i low = Low(p, First(count));
  const __m512i high = count > 16 ? Low(p + 16, First(count - 16)) : _mm512_setzero_si512();
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(low)),
                            _mm512_cvtepi32_epi16(high), 1);
}

// 16 × 16 pairs, columns to rows.
TANREN_INLINE void Transpose(__m512i (&r)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Now lane l of r[4g + i] holds row 4l + i of columns 4g … 4g + 3.
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i low01 = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xee);
    const __m512i low23 = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x44);
    const __m512i high23 = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xee);
    t[i] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    t[8 + i] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    t[12 + i] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) r[i] = t[i];
}

// Panels of kTileColumns: to[panel][pair of the depth][column]. Columns are next to each other.
template <typename T>
void PackPanels(const T* from, int64_t stride, int64_t depth, int64_t columns, uint32_t* to) {
  for (int64_t first = 0; first < columns; first += kTileColumns) {
    for (int64_t k = 0; k < depth; k += 2) {
      for (int v = 0; v < kTileVectors; ++v) {
        const int64_t column = first + v * kPairLanes;
        const __mmask16 mask = column < columns ? First(columns - column) : 0;
        const T* p = from + k * stride + column;
        const __m512i second = k + 1 < depth ? Low(p + stride, mask) : _mm512_setzero_si512();
        _mm512_storeu_si512(to, Joined(Low(p, mask), second));
        to += kPairLanes;
      }
    }
  }
}

// The same where the depth's elements are next to each other, and columns `stride` apart.
template <typename T>
void PackPanelsTransposed(const T* from, int64_t stride, int64_t depth, int64_t columns,
                          uint32_t* to) {
  const int64_t pairs = PairsOf(depth);
  for (int64_t first = 0; first < columns; first += kTileColumns) {
    for (int v = 0; v < kTileVectors; ++v) {
      const int64_t column = first + v * kPairLanes;
      for (int64_t k = 0; k < depth; k += 2 * kPairLanes) {
        __m512i block[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
          block[i] = column + i < columns ? Pairs(from + (column + i) * stride + k, depth - k)
                                          : _mm512_setzero_si512();
        }
        Transpose(block);
        uint32_t* place = to + k / 2 * kTileColumns + v * kPairLanes;
        const int64_t count = Least(kPairLanes, pairs - k / 2);
        for (int64_t i = 0; i < count; ++i) {
          _mm512_storeu_si512(place + i * kTileColumns, block[i]);
        }
      }
    }
    to += pairs * kTileColumns;
  }
}

// c[kTileRows, kTileColumns] += or = a · b. Pair p of row i of `a` is a[i · row + p · pair].
TANREN_INLINE void MultiplyTile(int64_t pairs, const uint32_t* a, int64_t row, int64_t pair,
                                const uint32_t* b, float* c, int64_t c_stride, bool add) {
  __m512 sums[kTileRows][kTileVectors];
#pragma GCC unroll 6
  for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      sums[i][v] = add ? _mm512_loadu_ps(c + i * c_stride + v * 16) : _mm512_setzero_ps();
    }
  }
  for (int64_t p = 0; p < pairs; ++p) {
    __m512bh columns[kTileVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      columns[v] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + v * kPairLanes));
    }
#pragma GCC unroll 6
    for (int i = 0; i < kTileRows; ++i) {
      const __m512bh factor =
          reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a[i * row])));
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) {
        sums[i][v] = _mm512_dpbf16_ps(sums[i][v], factor, columns[v]);
      }
    }
    a += pair;
    b += kTileColumns;
  }
#pragma GCC unroll 6
  for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      _mm512_storeu_ps(c + i * c_stride + v * 16, sums[i][v]);
    }
  }
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_PAIRS_H_
