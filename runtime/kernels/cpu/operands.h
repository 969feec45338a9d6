// How attention's operands are packed for MultiplyTile: in fp32, or in pairs where this file is
// compiled for a CPU with bf16 units. A slot is what one step of a product reads of a row or
// column: an element, or a pair of them.
#ifndef TANREN_RUNTIME_KERNELS_CPU_OPERANDS_H_
#define TANREN_RUNTIME_KERNELS_CPU_OPERANDS_H_

#include "runtime/kernels/cpu/blocks.h"
#if defined(__AVX512BF16__)
#include "runtime/kernels/cpu/pairs.h"
#else
#include "runtime/kernels/cpu/pack.h"
#endif

namespace tanren::kernels::TANREN_ISA {

#if defined(__AVX512BF16__)

using Slot = uint32_t;
constexpr int64_t kSlotElements = 2;
constexpr bool kScalesQueries = false;  // they would be rounded again: the scores are scaled
using Weight = Bf16;                    // as attention weights stand in slots

// A right operand: `depth` rows of `columns`, or `columns` rows of `depth`.
template <typename T>
void PackRight(const T* from, int64_t stride, int64_t depth, int64_t columns, Slot* to) {
  PackPanels(from, stride, depth, columns, to);
}
template <typename T>
void PackRightTransposed(const T* from, int64_t stride, int64_t depth, int64_t columns, Slot* to) {
  PackPanelsTransposed(from, stride, depth, columns, to);
}

// A row of a left operand. Writes whole vectors.
template <typename T>
TANREN_INLINE void PackLeftRow(const T* from, int64_t depth, Slot* to) {
  for (int64_t k = 0; k < depth; k += 2 * kPairLanes) {
    _mm512_storeu_si512(to + k / 2, Pairs(from + k, depth - k));
  }
}

// Rows of weights as the columns of a left operand, `stride` slots from step to step as between the
// rows. `to` has room for half as many rows.
inline const Slot* Transposed(const Slot* weights, int64_t rows, int64_t columns, int64_t stride,
                              Slot* to) {
  for (int64_t row = 0; row < rows; row += 2) {
    const auto* first = reinterpret_cast<const Bf16*>(weights + row * stride);
    const auto* second = reinterpret_cast<const Bf16*>(weights + (row + 1) * stride);
    Slot* const out = to + row / 2 * stride;
    for (int64_t j = 0; j < columns; j += kPairLanes) {
      const __m512i high = row + 1 < rows ? Low(second + j, 0xffff) : _mm512_setzero_si512();
      _mm512_storeu_si512(out + j, Joined(Low(first + j, 0xffff), high));
    }
  }
  return to;
}

#else

using Slot = float;
constexpr int64_t kSlotElements = 1;
constexpr bool kScalesQueries = true;
using Weight = float;

template <typename T>
void PackRight(const T* from, int64_t stride, int64_t depth, int64_t columns, Slot* to) {
  PackPanels<kTileColumns>(from, stride, depth, columns, to);
}
template <typename T>
void PackRightTransposed(const T* from, int64_t stride, int64_t depth, int64_t columns, Slot* to) {
  PackPanelsTransposed<kTileColumns>(from, stride, depth, columns, to);
}
template <typename T>
TANREN_INLINE void PackLeftRow(const T* from, int64_t depth, Slot* to) {
  CopyWidened(from, depth, to);
}
inline const Slot* Transposed(const Slot* weights, int64_t, int64_t, int64_t, Slot*) {
  return weights;
}

#endif

TANREN_INLINE int64_t SlotsOf(int64_t elements) {
  return (elements + kSlotElements - 1) / kSlotElements;
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_OPERANDS_H_
