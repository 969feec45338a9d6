// Memory that a thread's kernels work in, kept from call to call: getting it anew from the system
// would cost more than using it.
#ifndef TANREN_RUNTIME_KERNELS_CPU_SCRATCH_H_
#define TANREN_RUNTIME_KERNELS_CPU_SCRATCH_H_

#include <cstdint>

namespace tanren::kernels {

// At least `count` floats at a 64-byte boundary, with any content; this thread's until its next
// call.
float* ThreadScratch(int64_t count);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_CPU_SCRATCH_H_
