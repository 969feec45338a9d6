// See KernelTable.
#ifndef TANREN_RUNTIME_KERNELS_CPU_MULTIPLY_H_
#define TANREN_RUNTIME_KERNELS_CPU_MULTIPLY_H_

#include "runtime/kernels/cpu/kernel_table.h"

namespace tanren::kernels::TANREN_ISA {

extern const ProductKernel kMultiply;
void Dot(const Product& product, int64_t first_column, int64_t end_column, float* scratch);

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_MULTIPLY_H_
