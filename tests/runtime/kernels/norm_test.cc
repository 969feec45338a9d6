#include "runtime/kernels/norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "runtime/kernels/composed.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

constexpr double kEpsilon = 1e-5;

at::Tensor Norm(const Tensors& in) { return RmsNorm(in[0], in[1], kEpsilon); }
at::Tensor Reference(const Tensors& in) {
  return in[0] * (in[0].square().mean(-1, true) + kEpsilon).rsqrt() * in[1];
}

TEST(RmsNorm, ValueAndGradientsAreThoseOfFp64) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& shape : std::vector<std::vector<int64_t>>{
             {1, 3}, {1, 576}, {7, 37}, {200, 64}, {0, 16}, {5, 3, 20}, {300}}) {
      ExpectMatchesFp64(Norm, Reference,
                        {Random(shape, 1, dtype), Random({shape.back()}, 2, dtype)});
    }
  }
}

TEST(RmsNorm, RoundsWhereTransformersDoes) {
  const at::Tensor x = Random({33, 130}, 3, at::kBFloat16);
  const at::Tensor weight = Random({130}, 4, at::kBFloat16);
  const at::Tensor expected = ComposedRmsNorm(x, weight, kEpsilon);
  // A sum in another order may move a value across a rounding boundary, rarely.
  const double differing =
      RmsNorm(x, weight, kEpsilon).ne(expected).to(at::kFloat).mean().item<double>();
  EXPECT_LT(differing, 1e-3);
}

TEST(RmsNorm, TakesStridedInput) {
  const at::Tensor x = Random({40, 6}, 5).t();
  const at::Tensor weight = Random({40}, 6);
  EXPECT_TRUE(at::equal(RmsNorm(x, weight, kEpsilon), RmsNorm(x.contiguous(), weight, kEpsilon)));
}

TEST(RmsNorm, ARowsValueDoesNotDependOnTheOthers) {
  const at::Tensor x = Random({130, 70}, 7), weight = Random({70}, 8);
  EXPECT_TRUE(at::equal(RmsNorm(x, weight, kEpsilon).slice(0, 64, 65),
                        RmsNorm(x.slice(0, 64, 65), weight, kEpsilon)));
}

TEST(RmsNorm, RefusesAWeightOfAnotherWidth) {
  EXPECT_THROW(RmsNorm(Random({2, 4}, 1), Random({5}, 1), kEpsilon), Error);
}

}  // namespace
}  // namespace tanren::kernels
