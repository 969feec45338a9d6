// What this machine's CPU can do that a kernel's choice rests on.
#ifndef TANREN_RUNTIME_KERNELS_CPU_FEATURES_H_
#define TANREN_RUNTIME_KERNELS_CPU_FEATURES_H_

namespace tanren::kernels {

// Whether matrix products in bf16 run on instructions made for them (AVX512_BF16; every CPU with
// AMX has them too), and so faster than in fp32.
bool HasFastBf16Products();

// Whether there are tile units for bf16 as well (AMX), which libtorch's products use.
bool HasAmxBf16();

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_CPU_FEATURES_H_
