// See KernelTable.
#ifndef TANREN_RUNTIME_KERNELS_CPU_ATTENTION_LOOPS_H_
#define TANREN_RUNTIME_KERNELS_CPU_ATTENTION_LOOPS_H_

#include "runtime/kernels/cpu/attention.h"

namespace tanren::kernels::TANREN_ISA {

int64_t AttentionForwardScratch(const AttentionTask& task);
void AttentionForward(const AttentionTask& task, float* scratch);
int64_t AttentionBackwardScratch(const AttentionTask& task);
void AttentionBackward(const AttentionTask& task, float* scratch);
int64_t AttentionFewRowsScratch(const AttentionTask& task);
void AttentionFewRows(const AttentionTask& task, float* scratch);

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_ATTENTION_LOOPS_H_
