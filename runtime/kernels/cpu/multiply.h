// See KernelTable.
#ifndef TANREN_RUNTIME_KERNELS_CPU_MULTIPLY_H_
#define TANREN_RUNTIME_KERNELS_CPU_MULTIPLY_H_

#include "runtime/kernels/cpu/kernel_table.h"

namespace tanren::kernels::TANREN_ISA {

int64_t MultiplyScratch(int64_t depth);
void Multiply(const Product& product, int64_t first_row, int64_t end_row, int64_t first_column,
              int64_t end_column, float* scratch);
void Dot(const Product& product, int64_t first_column, int64_t end_column, float* scratch);

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_MULTIPLY_H_
