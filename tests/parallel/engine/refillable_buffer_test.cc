#include "parallel/engine/refillable_buffer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace tanren::parallel {
namespace {

const RefillableBuffer::Memory kMemory = [](int64_t bytes) {
  return c10::GetAllocator(at::kCPU)->allocate(static_cast<size_t>(bytes));
};

TEST(RefillableBuffer, TensorsSavedByAGraphSeeTheRefilledWeights) {
  RefillableBuffer buffer(8, at::dtype(at::kFloat));
  const at::Tensor weight = buffer.Alias(2, {2, 3}).requires_grad_();
  EXPECT_TRUE(weight.is_leaf());
  EXPECT_EQ(weight.storage().nbytes(), 0u);
  const at::Tensor values = at::arange(8, at::kFloat);
  const at::Tensor input = at::ones({1, 3}).requires_grad_();
  const auto fill = [&](double factor) {
    const at::NoGradGuard no_grad;
    buffer.Take(kMemory);
    buffer.flat().copy_(values * factor);
  };

  fill(1);
  EXPECT_TRUE(at::equal(weight.detach(), values.narrow(0, 2, 6).view({2, 3})));
  const at::Tensor output = at::linear(input, weight);
  buffer.Free(/*fill_with_nan=*/true);
  EXPECT_FALSE(buffer.filled());
  EXPECT_EQ(weight.storage().nbytes(), 0u);
  // Refilled with other values, to see that backward reads these and doesn't call it a change.
  fill(10);
  const auto gradient = torch::autograd::grad({output}, {input}, {at::ones({1, 2})});
  EXPECT_TRUE(at::equal(gradient[0], at::tensor({70.f, 90.f, 110.f}).view({1, 3})));
}

TEST(RefillableBuffer, ReleasedMemoryHoldsNan) {
  RefillableBuffer buffer(4, at::dtype(at::kFloat));
  buffer.Take(kMemory);
  buffer.flat().fill_(1);
  // Whoever took the memory itself, past the storage, keeps it readable here.
  const at::DataPtr memory =
      buffer.flat().storage().unsafeGetStorageImpl()->set_data_ptr(at::DataPtr());
  at::Tensor copy = at::empty({4});
  copy.storage().unsafeGetStorageImpl()->set_data_ptr_noswap(
      at::DataPtr(memory.get(), at::Device(at::kCPU)));
  buffer.flat().storage().unsafeGetStorageImpl()->set_data_ptr_noswap(
      at::DataPtr(memory.get(), at::Device(at::kCPU)));
  buffer.Free(/*fill_with_nan=*/true);
  EXPECT_TRUE(copy.isnan().all().item<bool>());
}

}  // namespace
}  // namespace tanren::parallel
