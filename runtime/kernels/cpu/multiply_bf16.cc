// Products on the CPU's bf16 units, of packed pairs. For what the blocks are, see multiply.cc.
#include "runtime/kernels/cpu/pairs.h"
#include "runtime/kernels/cpu/product_block.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

constexpr int64_t kDepthBlock = 576;
constexpr int64_t kPairBlock = kDepthBlock / 2;
// Pairs from row to row of packed a: not a power of two, for the cache's sets.
constexpr int64_t kRowStride = kPairBlock + 16;
// A part of the depth that is gone through at once: with kColumnBlock columns, so much of b is
// packed and stays in the third-level cache. In a deeper product, sums of so many rows wait for the
// rest.
constexpr int64_t kDepthPass = 4096;
constexpr int64_t kWaitingRows = 288;

int64_t DepthBlock(int64_t depth) { return EvenBlock(depth, kDepthBlock, 2); }

// Rows of pairs, kRowStride apart; rows up to `padded` are zero.
template <typename T>
void PackRows(const T* from, int64_t stride, int64_t rows, int64_t padded, int64_t depth,
              uint32_t* to) {
  for (int64_t row = 0; row < padded; ++row) {
    for (int64_t k = 0; k < depth; k += 2 * kPairLanes) {
      const __m512i pairs =
          row < rows ? Pairs(from + row * stride + k, depth - k) : _mm512_setzero_si512();
      _mm512_storeu_si512(to + row * kRowStride + k / 2, pairs);
    }
  }
}

// Pair by pair, kRowBlock rows apart, of a matrix whose rows are next to each other; rows up to the
// end of a vector are zero. Reads along the rows: steps of `stride` may all fall into one set of
// the cache.
template <typename T>
void PackColumns(const T* from, int64_t stride, int64_t rows, int64_t depth, uint32_t* to) {
  for (int64_t k = 0; k < depth; k += 2) {
    const T* p = from + k * stride;
    for (int64_t row = 0; row < rows; row += kPairLanes) {
      const __mmask16 mask = First(rows - row);
      const __m512i second = k + 1 < depth ? Low(p + stride + row, mask) : _mm512_setzero_si512();
      _mm512_storeu_si512(to + row, Joined(Low(p + row, mask), second));
    }
    to += kRowBlock;
  }
}

// Block of depth by block of depth, panels within.
template <typename T>
void PackWholeB(const MatrixView& b, int64_t first, int64_t depth, int64_t column, int64_t columns,
                uint32_t* to) {
  const T* data = static_cast<const T*>(b.data);
  const int64_t depth_block = DepthBlock(depth);
  for (int64_t k = first; k < first + depth; k += depth_block) {
    const int64_t block = Least(depth_block, first + depth - k);
    if (b.column_stride == 1) {
      PackPanels(data + k * b.row_stride + column, b.row_stride, block, columns, to);
    } else {
      PackPanelsTransposed(data + k + column * b.column_stride, b.column_stride, block, columns,
                           to);
    }
    to += PairsOf(block) * RoundUp(columns, kTileColumns);
  }
}

// A block of a by rows, or by columns if those are contiguous.
template <typename T>
void PackA(const MatrixView& a, int64_t row, int64_t rows, int64_t k, int64_t depth, uint32_t* to) {
  const T* data = static_cast<const T*>(a.data) + row * a.row_stride + k * a.column_stride;
  if (a.column_stride == 1) {
    PackRows(data, a.row_stride, rows, RoundUp(rows, kTileRows), depth, to);
  } else {
    PackColumns(data, a.column_stride, rows, depth, to);
  }
}

// Packed a, sums, packed b; a pair is as large as a float.
int64_t ScratchFloats(int64_t depth) {
  return kRowBlock * kRowStride + (depth <= kDepthPass ? kRowBlock : kWaitingRows) * kColumnBlock +
         PairsOf(Least(RoundUp(depth, 2), kDepthPass)) * kColumnBlock;
}

void Multiply(const Product& product, int64_t first_row, int64_t end_row, int64_t first_column,
              int64_t end_column, float* scratch) {
  const MatrixView &a = product.a, &b = product.b;
  const int64_t depth = product.depth;
  const bool a_in_rows = a.column_stride == 1;
  auto* const packed_a = reinterpret_cast<uint32_t*>(scratch);
  float* const sums = scratch + kRowBlock * kRowStride;
  const bool waits = depth > kDepthPass;
  auto* const packed_b =
      reinterpret_cast<uint32_t*>(sums + (waits ? kWaitingRows : kRowBlock) * kColumnBlock);
  const int64_t column_block = EvenBlock(end_column - first_column, kColumnBlock, kTileColumns);
  for (int64_t column = first_column; column < end_column; column += column_block) {
    const int64_t columns = Least(column_block, end_column - column);
    const int64_t padded = RoundUp(columns, kTileColumns);
    const int64_t rows_at_once = waits ? kWaitingRows : end_row - first_row;
    for (int64_t first = first_row; first < end_row; first += rows_at_once) {
      const int64_t end = Least(first + rows_at_once, end_row);
      for (int64_t pass = 0; pass < depth; pass += kDepthPass) {
        const int64_t pass_end = Least(pass + kDepthPass, depth);
        const int64_t depth_block = DepthBlock(pass_end - pass);
        (b.is_bf16 ? PackWholeB<Bf16> : PackWholeB<float>)(b, pass, pass_end - pass, column,
                                                           columns, packed_b);
        for (int64_t row = first; row < end; row += kRowBlock) {
          const int64_t rows = Least(kRowBlock, end - row);
          float* const block_sums = sums + (waits ? row - first : 0) * kColumnBlock;
          for (int64_t k = pass; k < pass_end; k += depth_block) {
            const int64_t block = Least(depth_block, pass_end - k), pairs = PairsOf(block);
            (a.is_bf16 ? PackA<Bf16> : PackA<float>)(a, row, rows, k, block, packed_a);
            for (int64_t j = 0; j < padded; j += kTileColumns) {
              const uint32_t* panel = packed_b + (k - pass) / 2 * padded + j * pairs;
              for (int64_t i = 0; i < rows; i += kTileRows) {
                float* c = block_sums + i * kColumnBlock + j;
                if (a_in_rows) {
                  MultiplyTile(pairs, packed_a + i * kRowStride, kRowStride, 1, panel, c,
                               kColumnBlock, k > 0);
                } else {
                  MultiplyTile(pairs, packed_a + i, 1, kRowBlock, panel, c, kColumnBlock, k > 0);
                }
              }
            }
          }
          if (pass_end == depth) WriteSums(product, block_sums, row, rows, column, columns);
        }
      }
    }
  }
}

}  // namespace

extern const ProductKernel kMultiplyBf16;
const ProductKernel kMultiplyBf16 = {Multiply, ScratchFloats, kTileRows, kTileColumns};

}  // namespace tanren::kernels::TANREN_ISA
