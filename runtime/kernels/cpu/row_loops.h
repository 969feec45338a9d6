// See KernelTable.
#ifndef TANREN_RUNTIME_KERNELS_CPU_ROW_LOOPS_H_
#define TANREN_RUNTIME_KERNELS_CPU_ROW_LOOPS_H_

#include "runtime/kernels/cpu/rows.h"

namespace tanren::kernels::TANREN_ISA {

void NormForward(const NormTask& task, int64_t first, int64_t end);
void NormBackward(const NormTask& task, int64_t first, int64_t end, float* d_weight);
void GateForward(const GateTask& task, int64_t first, int64_t end);
void GateBackward(const GateTask& task, int64_t first, int64_t end);
void Rotate(const RotaryTask& task, int64_t first, int64_t end, float* scratch);
void LogitStatistics(LogitRow* row, bool entropy);
int64_t LogitDraw(const LogitRow& row, double uniform);
void LogitDerivative(const LogitRow& row, float d_logprob, float d_entropy, void* out,
                     bool to_bf16);

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_ROW_LOOPS_H_
