#include "runtime/kernels/swiglu.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

at::Tensor Gated(const Tensors& in) { return SwiGlu(in[0], in[1]); }
at::Tensor Reference(const Tensors& in) { return in[0] / (1 + (-in[0]).exp()) * in[1]; }

TEST(SwiGlu, ValueAndGradientsAreThoseOfFp64) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& shape :
         std::vector<std::vector<int64_t>>{{1, 1}, {1, 1536}, {7, 37}, {90, 640}, {0, 16}}) {
      ExpectMatchesFp64(Gated, Reference, {Random(shape, 1, dtype) * 3, Random(shape, 2, dtype)});
    }
  }
}

TEST(SwiGlu, IsFiniteForGatesOfAnySize) {
  const at::Tensor gate =
      at::tensor({-1e30, -1000.0, -100.0, -88.0, -20.0, 0.0, 20.0, 88.0, 100.0, 1000.0})
          .to(at::kFloat);
  const at::Tensor up = at::ones_like(gate);
  const Tensors found = ValueAndGradients(Gated, {gate, up});
  for (const at::Tensor& x : found) EXPECT_TRUE(x.isfinite().all().item<bool>()) << x;
  ExpectClose(found[0], at::silu(gate), 1e-6, "value");
}

TEST(SwiGlu, PassesNaNOn) {
  at::Tensor gate = Random({3, 20}, 1), up = Random({3, 20}, 2);
  gate[1][7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(SwiGlu(gate, up).isnan().sum().item<int64_t>(), 1);
}

TEST(SwiGlu, TakesStridedInput) {
  const at::Tensor both = Random({6, 80}, 3);
  const auto halves = both.chunk(2, 1);
  EXPECT_TRUE(at::equal(SwiGlu(halves[0], halves[1]),
                        SwiGlu(halves[0].contiguous(), halves[1].contiguous())));
}

TEST(SwiGlu, RefusesArgumentsOfTwoShapes) {
  EXPECT_THROW(SwiGlu(Random({2, 4}, 1), Random({2, 5}, 1)), Error);
}

}  // namespace
}  // namespace tanren::kernels
