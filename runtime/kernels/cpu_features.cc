#include "runtime/kernels/cpu_features.h"

#include <cpuid.h>

#include "runtime/kernels/cpu/kernel_table.h"

namespace tanren::kernels {

bool HasFastBf16Products() { return Kernels().multiply_bf16.block != nullptr; }

bool HasAmxBf16() {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1) != 0;
  }();
  return has;
}

}  // namespace tanren::kernels
