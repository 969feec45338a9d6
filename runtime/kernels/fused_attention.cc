#include "runtime/kernels/fused_attention.h"

#include <ATen/ATen.h>

#include "runtime/base/error.h"
#include "runtime/kernels/device_features.h"

namespace tanren::kernels {
namespace {

constexpr int64_t kLargestFlashHead = 256;
// Both kernels load 16 bytes at a time.
constexpr int64_t kAlignedBytes = 16;
constexpr int kFirstWithMemoryEfficient = 50;
// CUTLASS's name for a mask that begins at each document's first query and key.
constexpr int64_t kCausalFromTopLeft = 1;

at::Tensor Flash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                 const at::Tensor& offsets, int64_t longest, double scale) {
  return std::get<0>(at::_flash_attention_forward(q, k, v, offsets, offsets, longest, longest,
                                                  /*dropout_p=*/0, /*is_causal=*/true,
                                                  /*return_debug_mask=*/false, scale));
}

at::Tensor MemoryEfficient(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& offsets, int64_t longest, double scale) {
  // It knows no grouped heads.
  const int64_t group = q.size(1) / k.size(1);
  const auto for_each_head = [&](const at::Tensor& x) {
    return (group == 1 ? x : x.repeat_interleave(group, 1)).unsqueeze(0);
  };
  const bool records =
      at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  return std::get<0>(at::_efficient_attention_forward(
                         q.unsqueeze(0), for_each_head(k), for_each_head(v), /*bias=*/{}, offsets,
                         offsets, longest, longest, /*dropout_p=*/0, kCausalFromTopLeft,
                         /*compute_log_sumexp=*/records, scale))
      .squeeze(0);
}

}  // namespace

FusedAttention ChooseFusedAttention(at::ScalarType dtype, int64_t head_size, int capability) {
  const bool half = dtype == at::kHalf || dtype == at::kBFloat16;
  if (!half && dtype != at::kFloat) return FusedAttention::kNone;
  const auto bytes = head_size * static_cast<int64_t>(c10::elementSize(dtype));
  if (bytes % kAlignedBytes != 0 || capability < kFirstWithMemoryEfficient) {
    return FusedAttention::kNone;
  }
  if (dtype == at::kBFloat16 && capability < kFirstWithBf16) return FusedAttention::kNone;
  const bool flash = half && capability >= kFirstWithBf16 && head_size <= kLargestFlashHead;
  return flash ? FusedAttention::kFlash : FusedAttention::kMemoryEfficient;
}

at::Tensor FusedDocumentAttention(FusedAttention kernel, const at::Tensor& q_THd,
                                  const at::Tensor& k_TKd, const at::Tensor& v_TKd,
                                  const at::Tensor& device_offsets, int64_t longest, double scale) {
  TANREN_CHECK(kernel != FusedAttention::kNone, "no fused attention was chosen");
  const at::Tensor q = q_THd.contiguous(), k = k_TKd.contiguous(), v = v_TKd.contiguous();
  return kernel == FusedAttention::kFlash
             ? Flash(q, k, v, device_offsets, longest, scale)
             : MemoryEfficient(q, k, v, device_offsets, longest, scale);
}

}  // namespace tanren::kernels
