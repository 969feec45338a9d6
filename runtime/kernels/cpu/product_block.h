// What products in every element type have in common: how a block is cut, and how its sums leave.
#ifndef TANREN_RUNTIME_KERNELS_CPU_PRODUCT_BLOCK_H_
#define TANREN_RUNTIME_KERNELS_CPU_PRODUCT_BLOCK_H_

#include "runtime/kernels/cpu/blocks.h"
#include "runtime/kernels/cpu/kernel_table.h"
#include "runtime/kernels/cpu/vector.h"

namespace tanren::kernels::TANREN_ISA {

// A block of a (kRowBlock × a block of the depth) and its sums (kRowBlock × columns) stay in the
// second-level cache.
constexpr int64_t kRowBlock = 96;
constexpr int64_t kColumnBlock = 576;

// `size` in as few blocks of up to `largest` as can be, of about the same size: multiples of
// `unit`, as `largest` is.
TANREN_INLINE int64_t EvenBlock(int64_t size, int64_t largest, int64_t unit) {
  const int64_t blocks = (size + largest - 1) / largest;
  return RoundUp((size + blocks - 1) / blocks, unit);
}

template <typename T>
TANREN_INLINE void WriteRow(const float* sums, int64_t columns, bool add, T* out) {
  int64_t i = 0;
  for (; i + kLanes <= columns; i += kLanes) {
    Store(out + i, add ? Load(out + i) + Load(sums + i) : Load(sums + i));
  }
  for (; i < columns; ++i) StoreOne(out + i, add ? ToFloat(out[i]) + sums[i] : sums[i]);
}

// Rows of sums, kColumnBlock apart, to where they belong in the result.
TANREN_INLINE void WriteSums(const Product& product, const float* sums, int64_t row, int64_t rows,
                             int64_t column, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t start = (row + i) * product.out_stride + column;
    if (product.out_is_bf16) {
      WriteRow(sums + i * kColumnBlock, columns, product.add,
               static_cast<Bf16*>(product.out) + start);
    } else {
      WriteRow(sums + i * kColumnBlock, columns, product.add,
               static_cast<float*>(product.out) + start);
    }
  }
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_PRODUCT_BLOCK_H_
