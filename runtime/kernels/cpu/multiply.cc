// Matrix products in the manner of Goto and van de Geijn (doi:10.1145/1356052.1356053): both
// operands are copied block by block, widened to fp32, into the order in which a tile in registers
// reads them.
#include "runtime/kernels/cpu/multiply.h"

#include "runtime/kernels/cpu/pack.h"
#include "runtime/kernels/cpu/product_block.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

// A panel of b (kDepthBlock × kTileColumns) stays in the first-level cache, packed b in the third.
constexpr int64_t kDepthBlock = 256;
constexpr int64_t kPackedB = int64_t{1} << 20;
// Rows of a are this far apart, so that they don't fall into one set of the cache.
constexpr int64_t kRowStride = kDepthBlock + 16;

// Columns at once: fewer where the product is deep.
int64_t ColumnBlock(int64_t depth) {
  const int64_t fitting = kPackedB / (depth + 1) / kTileColumns * kTileColumns;
  return fitting < 2 * kTileColumns ? 2 * kTileColumns : Least(fitting, kColumnBlock);
}

template <typename T>
void PackB(const MatrixView& b, int64_t depth, int64_t first_column, int64_t columns, float* to) {
  const T* data = static_cast<const T*>(b.data);
  // Block of depth by block of depth, panels within.
  for (int64_t k = 0; k < depth; k += kDepthBlock) {
    const int64_t rows = Least(kDepthBlock, depth - k);
    if (b.column_stride == 1) {
      PackPanels<kTileColumns>(data + k * b.row_stride + first_column, b.row_stride, rows, columns,
                               to);
    } else {
      PackPanelsTransposed<kTileColumns>(data + k + first_column * b.column_stride, b.column_stride,
                                         rows, columns, to);
    }
    to += rows * RoundUp(columns, kTileColumns);
  }
}

// Rows of a as they are, or panels of kTileRows if its columns are contiguous.
template <typename T>
void PackA(const MatrixView& a, int64_t first_row, int64_t rows, int64_t k, int64_t depth,
           float* to) {
  const T* data = static_cast<const T*>(a.data) + first_row * a.row_stride + k * a.column_stride;
  if (a.column_stride == 1) {
    PackRows(data, a.row_stride, rows, RoundUp(rows, kTileRows), depth, to, kRowStride);
  } else {
    PackPanels<kTileRows>(data, a.column_stride, depth, rows, to);
  }
}

int64_t MultiplyScratch(int64_t depth) {
  return RoundUp(depth, kDepthBlock) * ColumnBlock(depth) + kRowBlock * kRowStride +
         kRowBlock * kColumnBlock;
}

void Multiply(const Product& product, int64_t first_row, int64_t end_row, int64_t first_column,
              int64_t end_column, float* scratch) {
  const MatrixView &a = product.a, &b = product.b;
  const int64_t depth = product.depth, column_block = ColumnBlock(depth);
  const bool a_in_rows = a.column_stride == 1;
  float* const packed_a = scratch;
  float* const sums = packed_a + kRowBlock * kRowStride;
  float* const packed_b = sums + kRowBlock * kColumnBlock;
  for (int64_t column = first_column; column < end_column; column += column_block) {
    const int64_t columns = Least(column_block, end_column - column);
    const int64_t padded = RoundUp(columns, kTileColumns);
    (b.is_bf16 ? PackB<Bf16> : PackB<float>)(b, depth, column, columns, packed_b);
    for (int64_t row = first_row; row < end_row; row += kRowBlock) {
      const int64_t rows = Least(kRowBlock, end_row - row);
      for (int64_t k = 0; k < depth; k += kDepthBlock) {
        const int64_t block_depth = Least(kDepthBlock, depth - k);
        (a.is_bf16 ? PackA<Bf16> : PackA<float>)(a, row, rows, k, block_depth, packed_a);
        for (int64_t j = 0; j < padded; j += kTileColumns) {
          const float* panel = packed_b + k * padded + j * block_depth;
          for (int64_t i = 0; i < rows; i += kTileRows) {
            float* c = sums + i * kColumnBlock + j;
            if (a_in_rows) {
              MultiplyTile(block_depth, packed_a + i * kRowStride, kRowStride, 1, panel, c,
                           kColumnBlock, k > 0);
            } else {
              MultiplyTile(block_depth, packed_a + i * block_depth, 1, kTileRows, panel, c,
                           kColumnBlock, k > 0);
            }
          }
        }
      }
      WriteSums(product, sums, row, rows, column, columns);
    }
  }
}

}  // namespace

extern const ProductKernel kMultiply;
const ProductKernel kMultiply = {Multiply, MultiplyScratch, kTileRows, kTileColumns};

}  // namespace tanren::kernels::TANREN_ISA
