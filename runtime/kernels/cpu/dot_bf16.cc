// Products of some rows with a weight on the CPU's bf16 units, for generation: both operands have
// the depth's elements next to each other, which is what an instruction multiplies, so neither is
// packed. An element has one sum for each lane, added in an order that doesn't depend on how many
// rows there are.
#include <immintrin.h>

#include "runtime/kernels/cpu/product_block.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

// 24 sums, 3 vectors of rows and one of a weight fit the registers.
constexpr int kOutputs = 8;
constexpr int kRows = 3;
constexpr int64_t kStep = 32;  // bf16 elements in a vector

TANREN_INLINE __m512bh LoadBf16(const Bf16* p) {
  return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p));
}
TANREN_INLINE __m512bh LoadBf16(const Bf16* p, __mmask32 mask) {
  return reinterpret_cast<__m512bh>(_mm512_maskz_loadu_epi16(mask, p));
}

// Of four vectors: in each quarter, the four sums of that quarter's lanes.
TANREN_INLINE __m512 QuarterSums(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const auto low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const auto high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  return _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
}

// Sums of the lanes of eight vectors.
TANREN_INLINE __m256 LaneSums(const __m512 (&v)[kOutputs]) {
  const __m512 first = QuarterSums(v[0], v[1], v[2], v[3]);
  const __m512 second = QuarterSums(v[4], v[5], v[6], v[7]);
  const __m512 sums = _mm512_add_ps(_mm512_shuffle_f32x4(first, second, 0x44),
                                    _mm512_shuffle_f32x4(first, second, 0xee));
  // Now the quarters hold, of the first four and of the last four, two sums each.
  const __m512 even = _mm512_shuffle_f32x4(sums, sums, 0x88);
  const __m512 odd = _mm512_shuffle_f32x4(sums, sums, 0xdd);
  return _mm512_castps512_ps256(_mm512_add_ps(even, odd));
}

// The first `count` of eight sums to where they belong in the result.
TANREN_INLINE void Write(const Product& product, __m256 sums, int64_t row, int64_t column,
                         int64_t count) {
  const auto mask = static_cast<__mmask16>((1u << count) - 1);
  const int64_t at = row * product.out_stride + column;
  Vec values = reinterpret_cast<Vec>(_mm512_zextps256_ps512(sums));
  if (product.out_is_bf16) {
    Bf16* const out = static_cast<Bf16*>(product.out) + at;
    if (product.add) {
      const __m512i old = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, out));
      values += reinterpret_cast<Vec>(_mm512_slli_epi32(old, 16));
    }
    const auto rounded = reinterpret_cast<__m512i>(RoundToBf16(values));
    _mm256_mask_storeu_epi16(out, mask, _mm512_cvtepi32_epi16(rounded));
  } else {
    float* const out = static_cast<float*>(product.out) + at;
    if (product.add) values += reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(mask, out));
    _mm512_mask_storeu_ps(out, mask, reinterpret_cast<__m512>(values));
  }
}

// For kRowCount rows and `count` outputs, whose weights are `stride` apart: kOutputs of them, or
// one and a stride of 0.
template <int kRowCount, bool kFetchNext>
TANREN_INLINE void DotTile(const Product& product, int64_t row, int64_t column, int64_t stride,
                           int64_t count) {
  const int64_t depth = product.depth, x_stride = product.a.row_stride;
  const Bf16* const x = static_cast<const Bf16*>(product.a.data) + row * x_stride;
  const Bf16* const weight =
      static_cast<const Bf16*>(product.b.data) + column * product.b.column_stride;
  __m512 sums[kRowCount][kOutputs];
#pragma GCC unroll 3
  for (int r = 0; r < kRowCount; ++r) {
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) sums[r][o] = _mm512_setzero_ps();
  }
  const auto step = [&](int64_t k, const auto&... mask) __attribute__((always_inline)) {
    __m512bh rows[kRowCount];
#pragma GCC unroll 3
    for (int r = 0; r < kRowCount; ++r) rows[r] = LoadBf16(x + r * x_stride + k, mask...);
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) {
      const Bf16* const p = weight + o * stride + k;
      // The next group of weight rows: streams of one row are too short for the hardware to see.
      if constexpr (kFetchNext) __builtin_prefetch(p + kOutputs * stride);
      const __m512bh weights = LoadBf16(p, mask...);
#pragma GCC unroll 3
      for (int r = 0; r < kRowCount; ++r) {
        sums[r][o] = _mm512_dpbf16_ps(sums[r][o], rows[r], weights);
      }
    }
  };
  int64_t k = 0;
  for (; k + kStep <= depth; k += kStep) step(k);
  if (k < depth) step(k, static_cast<__mmask32>((uint64_t{1} << (depth - k)) - 1));
#pragma GCC unroll 3
  for (int r = 0; r < kRowCount; ++r) Write(product, LaneSums(sums[r]), row + r, column, count);
}

TANREN_INLINE void DotColumns(const Product& product, int64_t column, int64_t stride,
                              int64_t count) {
  int64_t row = 0;
  if (product.rows >= kRows) {
    DotTile<kRows, true>(product, row, column, stride, count);
    row = kRows;
  }
  for (; row + kRows <= product.rows; row += kRows) {
    DotTile<kRows, false>(product, row, column, stride, count);
  }
  if (product.rows - row == 2) DotTile<2, true>(product, row, column, stride, count);
  if (product.rows - row == 1) DotTile<1, true>(product, row, column, stride, count);
}

void Dot(const Product& product, int64_t first_column, int64_t end_column, float*) {
  int64_t column = first_column;
  for (; column + kOutputs <= end_column; column += kOutputs) {
    DotColumns(product, column, product.b.column_stride, kOutputs);
  }
  for (; column < end_column; ++column) DotColumns(product, column, 0, 1);
}

}  // namespace

extern const DotKernel kDotBf16;
const DotKernel kDotBf16 = Dot;

}  // namespace tanren::kernels::TANREN_ISA
