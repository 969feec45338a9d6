// The table of the instruction set that this file is compiled for.
#include "runtime/kernels/cpu/attention_loops.h"
#include "runtime/kernels/cpu/multiply.h"
#include "runtime/kernels/cpu/row_loops.h"

#define TANREN_TEXT_INNER(x) #x
#define TANREN_TEXT(x) TANREN_TEXT_INNER(x)

namespace tanren::kernels::TANREN_ISA {

extern const KernelTable kTable;
const KernelTable kTable = {
    .name = TANREN_TEXT(TANREN_ISA),
    .multiply = kMultiply,
    .multiply_bf16 = {},
    .dot = Dot,
    .dot_bf16 = nullptr,
    .attention = {kAttentionForward, kAttentionBackward, kAttentionFewRows},
    .attention_bf16 = {kAttentionForwardBf16, kAttentionBackwardBf16, kAttentionFewRowsBf16},
    .norm_forward = NormForward,
    .norm_backward = NormBackward,
    .gate_forward = GateForward,
    .gate_backward = GateBackward,
    .rotate = Rotate,
    .logit_statistics = LogitStatistics,
    .logit_draw = LogitDraw,
    .logit_derivative = LogitDerivative,
};

}  // namespace tanren::kernels::TANREN_ISA
