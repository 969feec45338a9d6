// See KernelTable.
#ifndef TANREN_RUNTIME_KERNELS_CPU_ATTENTION_LOOPS_H_
#define TANREN_RUNTIME_KERNELS_CPU_ATTENTION_LOOPS_H_

#include "runtime/kernels/cpu/kernel_table.h"

namespace tanren::kernels::TANREN_ISA {

extern const AttentionKernel kAttentionForward, kAttentionForwardBf16;
extern const AttentionKernel kAttentionBackward, kAttentionBackwardBf16;
extern const AttentionKernel kAttentionFewRows, kAttentionFewRowsBf16;

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_ATTENTION_LOOPS_H_
