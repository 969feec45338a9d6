// Small things that loops over blocks need.
#ifndef TANREN_RUNTIME_KERNELS_CPU_BLOCKS_H_
#define TANREN_RUNTIME_KERNELS_CPU_BLOCKS_H_

#include "runtime/kernels/cpu/vector.h"

namespace tanren::kernels::TANREN_ISA {

TANREN_INLINE int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }
TANREN_INLINE int64_t RoundUp(int64_t a, int64_t unit) { return (a + unit - 1) / unit * unit; }

template <typename T>
TANREN_INLINE void Zero(T* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = 0;
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_BLOCKS_H_
