// Products of a few rows with a weight, for generation: memory is the limit, so the weight is read
// once, front to back, and widened in registers.
#include "runtime/kernels/cpu/multiply.h"
#include "runtime/kernels/cpu/pack.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

// The even and the odd elements of 2 · kLanes bf16 values: a shift and a mask widen them.
struct Pair {
  Vec even, odd;
};
TANREN_INLINE Pair LoadPair(const Bf16* p) {
  const Bits bits = *reinterpret_cast<const LooseBits*>(p);
  return {reinterpret_cast<Vec>(bits << 16), reinterpret_cast<Vec>(bits & 0xffff0000u)};
}
TANREN_INLINE Pair LoadPair(const float* p) { return {Load(p), Load(p + kLanes)}; }

constexpr int64_t kBlock = 2 * kLanes;

// One row of x in the order in which LoadPair gives weights; what remains after whole blocks
// follows as it is.
template <typename Weight>
void Arrange(const float* x, int64_t depth, float* to) {
  const int64_t whole = depth / kBlock * kBlock;
  for (int64_t k = 0; k < whole; k += kBlock) {
    for (int i = 0; i < kLanes; ++i) {
      to[k + i] = x[sizeof(Weight) == 2 ? k + 2 * i : k + i];
      to[k + kLanes + i] = x[sizeof(Weight) == 2 ? k + 2 * i + 1 : k + kLanes + i];
    }
  }
  for (int64_t k = whole; k < depth; ++k) to[k] = x[k];
}

// sums[output][row] over `depth`, for kOutputs weight rows and kRows rows of x.
template <int kOutputs, int kRows, typename Weight>
TANREN_INLINE void DotBlock(const Weight* weight, int64_t weight_stride, const float* x,
                            int64_t x_stride, int64_t depth, float (*sums)[4]) {
  // One accumulator for each, however many there are: the order of a sum is always the same.
  Vec wide[kOutputs][kRows] = {};
  const int64_t whole = depth / kBlock * kBlock;
  for (int64_t k = 0; k < whole; k += kBlock) {
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) {
      const Weight* p = weight + o * weight_stride + k;
      // The next group of weight rows: streams of one row are too short for the hardware to see.
      __builtin_prefetch(p + kOutputs * weight_stride);
      const Pair pair = LoadPair(p);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        wide[o][r] += pair.even * Load(x + r * x_stride + k);
        wide[o][r] += pair.odd * Load(x + r * x_stride + k + kLanes);
      }
    }
  }
  for (int o = 0; o < kOutputs; ++o) {
    for (int r = 0; r < kRows; ++r) {
      float sum = Sum(wide[o][r]);
      for (int64_t k = whole; k < depth; ++k) {
        sum += ToFloat(weight[o * weight_stride + k]) * x[r * x_stride + k];
      }
      sums[o][r] = sum;
    }
  }
}

TANREN_INLINE void Put(const Product& product, int64_t row, int64_t column, float value) {
  const int64_t at = row * product.out_stride + column;
  if (product.out_is_bf16) {
    Bf16* out = static_cast<Bf16*>(product.out) + at;
    StoreOne(out, product.add ? ToFloat(*out) + value : value);
  } else {
    float* out = static_cast<float*>(product.out) + at;
    *out = product.add ? *out + value : value;
  }
}

// kOutputs columns of the product, for all rows.
template <int kOutputs, typename Weight>
void DotColumns(const Product& product, int64_t column, const float* x, int64_t x_stride) {
  const int64_t stride = product.b.column_stride, depth = product.depth;
  const Weight* weight = static_cast<const Weight*>(product.b.data) + column * stride;
  for (int64_t row = 0; row < product.rows; row += 4) {
    const int64_t rows = product.rows - row < 4 ? product.rows - row : 4;
    const float* first = x + row * x_stride;
    float sums[kOutputs][4];
    switch (rows) {
      case 1:
        DotBlock<kOutputs, 1>(weight, stride, first, x_stride, depth, sums);
        break;
      case 2:
        DotBlock<kOutputs, 2>(weight, stride, first, x_stride, depth, sums);
        break;
      case 3:
        DotBlock<kOutputs, 3>(weight, stride, first, x_stride, depth, sums);
        break;
      default:
        DotBlock<kOutputs, 4>(weight, stride, first, x_stride, depth, sums);
    }
    for (int64_t r = 0; r < rows; ++r) {
      for (int o = 0; o < kOutputs; ++o) Put(product, row + r, column + o, sums[o][r]);
    }
  }
}

template <typename Weight>
void DotOf(const Product& product, int64_t first, int64_t end, float* scratch) {
  const int64_t depth = product.depth, x_stride = depth + 16;
  float* const plain = scratch + product.rows * x_stride;
  for (int64_t row = 0; row < product.rows; ++row) {
    const int64_t start = row * product.a.row_stride;
    if (product.a.is_bf16) {
      CopyWidened(static_cast<const Bf16*>(product.a.data) + start, depth, plain);
    } else {
      CopyWidened(static_cast<const float*>(product.a.data) + start, depth, plain);
    }
    Arrange<Weight>(plain, depth, scratch + row * x_stride);
  }
  int64_t column = first;
  for (; column + 8 <= end && product.rows == 1; column += 8) {
    DotColumns<8, Weight>(product, column, scratch, x_stride);
  }
  for (; column + 2 <= end; column += 2) DotColumns<2, Weight>(product, column, scratch, x_stride);
  for (; column < end; ++column) DotColumns<1, Weight>(product, column, scratch, x_stride);
}

}  // namespace

void Dot(const Product& product, int64_t first_column, int64_t end_column, float* scratch) {
  (product.b.is_bf16 ? DotOf<Bf16> : DotOf<float>)(product, first_column, end_column, scratch);
}

}  // namespace tanren::kernels::TANREN_ISA
