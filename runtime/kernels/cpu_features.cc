#include "runtime/kernels/cpu_features.h"

namespace tanren::kernels {

bool HasFastBf16Products() {
  // Every CPU with AMX has AVX512_BF16 as well.
  return __builtin_cpu_supports("avx512bf16");
}

}  // namespace tanren::kernels
