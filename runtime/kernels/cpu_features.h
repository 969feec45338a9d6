// What this machine's CPU can do that a kernel's choice rests on.
#ifndef TANREN_RUNTIME_KERNELS_CPU_FEATURES_H_
#define TANREN_RUNTIME_KERNELS_CPU_FEATURES_H_

namespace tanren::kernels {

// Whether matrix products in bf16 run on units made for them (AVX512_BF16 or AMX). Where they
// don't, libtorch's bf16 products are several times slower than its fp32 ones.
bool HasFastBf16Products();

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_CPU_FEATURES_H_
