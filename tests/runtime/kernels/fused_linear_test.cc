#include "runtime/kernels/fused_linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "runtime/kernels/linear.h"
#include "runtime/kernels/norm.h"
#include "runtime/kernels/swiglu.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

constexpr double kEpsilon = 1e-5;

// Inputs: x, norm weight, three weights, and where there are biases, three of them. The maps'
// results side by side.
at::Tensor Normed(const Tensors& in) {
  std::vector<AffineWeights> maps(3);
  for (size_t i = 0; i < 3; ++i) maps[i] = {in[2 + i], in.size() > 5 ? in[5 + i] : at::Tensor()};
  return at::cat(NormedLinears(in[0], in[1], kEpsilon, maps), 1);
}
at::Tensor NormedReference(const Tensors& in) {
  const at::Tensor& x = in[0];
  const at::Tensor normed = x * (x.square().mean(-1, true) + kEpsilon).rsqrt() * in[1];
  Tensors out;
  for (size_t i = 0; i < 3; ++i) {
    out.push_back(at::matmul(normed, in[2 + i].t()));
    if (in.size() > 5) out.back() = out.back() + in[5 + i];
  }
  return at::cat(out, 1);
}

Tensors NormedInputs(int64_t rows, at::ScalarType dtype, bool biases) {
  Tensors in = {Random({rows, 48}, 1, dtype), Random({48}, 2, dtype), Random({64, 48}, 3, dtype),
                Random({16, 48}, 4, dtype), Random({20, 48}, 5, dtype)};
  if (biases) {
    for (int64_t width : {64, 16, 20}) in.push_back(Random({width}, 6, dtype));
  }
  return in;
}

TEST(NormedLinears, ValuesAndGradientsAreThoseOfFp64) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {1, 7, 90}) {
      ExpectMatchesFp64(Normed, NormedReference, NormedInputs(rows, dtype, false));
      ExpectMatchesFp64(Normed, NormedReference, NormedInputs(rows, dtype, true));
    }
  }
}

TEST(NormedLinears, ValuesAreThoseOfTheTwoParts) {
  const Tensors in = NormedInputs(33, at::kBFloat16, false);
  const at::Tensor normed = RmsNorm(in[0], in[1], kEpsilon);
  EXPECT_TRUE(at::equal(Normed(in).slice(1, 0, 64), Linear(normed, in[2])));
}

TEST(NormedLinears, AnUnusedResultHasNoGradient) {
  Tensors in = NormedInputs(5, at::kFloat, false);
  for (at::Tensor& x : in) x.requires_grad_();
  const auto out = NormedLinears(in[0], in[1], kEpsilon, {{in[2], {}}, {in[3], {}}, {in[4], {}}});
  out[1].sum().backward();
  EXPECT_GT(in[3].grad().abs().sum().item<float>(), 0);
  EXPECT_FALSE(in[2].grad().defined() && in[2].grad().ne(0).any().item<bool>());
  EXPECT_GT(in[0].grad().abs().sum().item<float>(), 0);
}

TEST(NormedLinears, FrozenWeightsStayWithoutGradients) {
  Tensors in = NormedInputs(5, at::kFloat, false);
  in[0].requires_grad_();
  const auto out = NormedLinears(in[0], in[1], kEpsilon, {{in[2], {}}});
  out[0].sum().backward();
  EXPECT_TRUE(in[0].grad().defined());
  EXPECT_FALSE(in[2].grad().defined());
}

TEST(NormedLinears, TakesHalfPrecisionToo) {
  const Tensors in = NormedInputs(4, at::kHalf, false);
  ExpectClose(Normed(in), NormedReference(in), 2e-2, "value");
}

at::Tensor Gated(const Tensors& in) {
  return GatedLinear(in[0], in[1], {in[2], in.size() > 3 ? in[3] : at::Tensor()});
}
at::Tensor GatedReference(const Tensors& in) {
  const at::Tensor out = at::matmul(in[0] / (1 + (-in[0]).exp()) * in[1], in[2].t());
  return in.size() > 3 ? out + in[3] : out;
}

TEST(GatedLinear, ValueAndGradientsAreThoseOfFp64) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {1, 7, 90}) {
      Tensors in = {Random({rows, 52}, 1, dtype), Random({rows, 52}, 2, dtype),
                    Random({24, 52}, 3, dtype)};
      ExpectMatchesFp64(Gated, GatedReference, in);
      in.push_back(Random({24}, 4, dtype));
      ExpectMatchesFp64(Gated, GatedReference, in);
    }
  }
}

TEST(GatedLinear, ValueIsThatOfTheTwoParts) {
  const Tensors in = {Random({33, 52}, 1, at::kBFloat16), Random({33, 52}, 2, at::kBFloat16),
                      Random({24, 52}, 3, at::kBFloat16)};
  EXPECT_TRUE(at::equal(Gated(in), Linear(SwiGlu(in[0], in[1]), in[2])));
}

TEST(FusedLinear, RefusesShapesThatDoNotFit) {
  EXPECT_THROW(
      NormedLinears(Random({2, 4}, 1), Random({4}, 2), kEpsilon, {{Random({3, 5}, 3), {}}}), Error);
  EXPECT_THROW(GatedLinear(Random({2, 4}, 1), Random({2, 5}, 1), {Random({3, 4}, 3), {}}), Error);
}

}  // namespace
}  // namespace tanren::kernels
