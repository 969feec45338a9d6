#include "trainer/loop/machine_limit.h"

#include <ATen/ATen.h>

#include "gtest/gtest.h"

namespace tanren::trainer {
namespace {

TEST(MachineLimit, TheProductRateIsInOperationsASecond) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double rate = MeasureProductRate(dtype, at::kCPU);
    EXPECT_GT(rate, 1e8) << dtype;
    EXPECT_LT(rate, 1e15) << dtype;
  }
}

}  // namespace
}  // namespace tanren::trainer
