// Element-wise reductions on the CPU in a fixed order: what makes results independent of timing
// and equal on every backend that computes here.
#ifndef TANREN_RUNTIME_COMM_REDUCTION_H_
#define TANREN_RUNTIME_COMM_REDUCTION_H_

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <span>

#include "runtime/comm/communicator.h"

namespace tanren::comm {

// output[i] = inputs[0][i] op inputs[1][i] op …, from the left. bf16 and fp16 are combined in fp32
// and rounded once, to nearest even; kMax and kMin give NaN where any input is. `output` may be
// one of the inputs. Buffers hold `count` elements of `dtype`; at least one input.
void Reduce(ReduceOp op, at::ScalarType dtype, void* output, std::span<const void* const> inputs,
            int64_t count);

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_REDUCTION_H_
