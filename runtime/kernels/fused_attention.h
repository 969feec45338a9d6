// libtorch's fused attention kernels for GPUs, over packed documents: neither scores nor masks are
// in memory.
#ifndef TANREN_RUNTIME_KERNELS_FUSED_ATTENTION_H_
#define TANREN_RUNTIME_KERNELS_FUSED_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tanren::kernels {

enum class FusedAttention {
  kNone,             // composed.h serves
  kFlash,            // arXiv:2307.08691
  kMemoryEfficient,  // arXiv:2112.05682, by CUTLASS: fp32 too, and older GPUs
};

// Which one takes heads of `head_size` in `dtype` on a device of this ComputeCapability.
FusedAttention ChooseFusedAttention(at::ScalarType dtype, int64_t head_size, int capability);

// As DocumentAttention in attention.h, by a kernel other than kNone; at least one token.
// `device_offsets` [N + 1] are the documents' offsets as int32 on q's device, `longest` is the
// number of tokens of the longest document.
at::Tensor FusedDocumentAttention(FusedAttention kernel, const at::Tensor& q_THd,
                                  const at::Tensor& k_TKd, const at::Tensor& v_TKd,
                                  const at::Tensor& device_offsets, int64_t longest, double scale);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_FUSED_ATTENTION_H_
