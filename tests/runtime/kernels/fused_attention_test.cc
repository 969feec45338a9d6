#include "runtime/kernels/fused_attention.h"

#include <gtest/gtest.h>

#include "runtime/kernels/device_features.h"

namespace tanren::kernels {
namespace {

TEST(FusedAttention, IsChosenByDtypeHeadSizeAndGeneration) {
  constexpr auto kNone = FusedAttention::kNone, kFlash = FusedAttention::kFlash,
                 kMemoryEfficient = FusedAttention::kMemoryEfficient;
  struct Case {
    at::ScalarType dtype;
    int64_t head_size;
    int capability;
    FusedAttention expected;
  };
  for (const Case& of : {
           Case{at::kBFloat16, 64, 90, kFlash},
           {at::kHalf, 128, 80, kFlash},
           {at::kHalf, 64, 75, kMemoryEfficient},
           {at::kFloat, 64, 75, kMemoryEfficient},
           {at::kFloat, 64, 90, kMemoryEfficient},
           {at::kHalf, 512, 90, kMemoryEfficient},  // beyond flash's heads
           {at::kBFloat16, 64, 75, kNone},          // a T4 has no products in bf16
           {at::kHalf, 12, 90, kNone},              // 24 bytes, not a multiple of 16
           {at::kFloat, 12, 90, kMemoryEfficient},
           {at::kDouble, 64, 90, kNone},
           {at::kFloat, 64, 0, kNone},  // the CPU, or a device that isn't CUDA's
       }) {
    EXPECT_EQ(ChooseFusedAttention(of.dtype, of.head_size, of.capability), of.expected)
        << c10::toString(of.dtype) << " " << of.head_size << " on " << of.capability;
  }
}

TEST(ComputeCapability, IsZeroWhereThereIsNoGpu) { EXPECT_EQ(ComputeCapability(at::kCPU), 0); }

}  // namespace
}  // namespace tanren::kernels
