#include "runtime/kernels/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

at::Tensor Reference(const Tensors& in) {
  const at::Tensor product = at::matmul(in[0], in[1].t());
  return in.size() == 3 ? product + in[2] : product;
}

at::Tensor Layer(const Tensors& in) {
  return Linear(in[0], in[1], in.size() == 3 ? in[2] : at::Tensor());
}

struct Size {
  int64_t rows, in, out;
};
const std::vector<Size> kSizes = {{1, 1, 1},    {1, 576, 192}, {2, 37, 5},  {3, 64, 129},
                                  {4, 100, 33}, {5, 70, 31},   {0, 16, 8},  {130, 65, 67},
                                  {7, 300, 50}, {64, 96, 64},  {33, 1, 200}};

TEST(Linear, ValueAndGradientsAreThoseOfFp64) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& [rows, in, out] : kSizes) {
      SCOPED_TRACE(testing::Message() << dtype << " " << rows << " " << in << " " << out);
      const Tensors inputs = {Random({rows, in}, 1, dtype), Random({out, in}, 2, dtype),
                              Random({out}, 3, dtype)};
      const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
      for (const bool bias : {false, true}) {
        Tensors used(inputs.begin(), inputs.end() - (bias ? 0 : 1)), wide_used;
        for (const at::Tensor& x : used) wide_used.push_back(wide(x));
        const Tensors found = ValueAndGradients(Layer, used);
        const Tensors expected = ValueAndGradients(Reference, wide_used);
        for (size_t i = 0; i < found.size(); ++i) {
          EXPECT_EQ(found[i].scalar_type(), dtype);
          ExpectClose(found[i], expected[i], Tolerance(dtype), "value or gradient");
        }
        at::NoGradGuard no_grad;  // few rows take another path
        ExpectClose(Layer(used), expected[0], Tolerance(dtype), "without a graph");
      }
    }
  }
}

TEST(Linear, KeepsLeadingDimensionsAndTakesStridedInput) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = Random({24, 3, 5}, 1, dtype).permute({2, 1, 0});
    const at::Tensor weight = Random({24, 7}, 2, dtype).t();
    const at::Tensor found = Linear(x, weight);
    EXPECT_EQ(found.sizes(), at::IntArrayRef({5, 3, 7}));
    ExpectClose(found, at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t()), Tolerance(dtype),
                "strided");
    at::NoGradGuard no_grad;
    const at::Tensor one = x.slice(0, 0, 1).slice(1, 0, 1);
    ExpectClose(Linear(one, weight), found.slice(0, 0, 1).slice(1, 0, 1), Tolerance(dtype), "one");
  }
}

// A frozen weight gets no gradient, and costs none.
TEST(Linear, GivesGradientsOnlyWhereTheyAreAskedFor) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = Random({6, 8}, 1, dtype).requires_grad_();
    const at::Tensor weight = Random({5, 8}, 2, dtype), bias = Random({5}, 3, dtype);
    Linear(x, weight, bias).sum().backward();
    EXPECT_TRUE(x.grad().defined());
    EXPECT_FALSE(weight.grad().defined());
  }
}

TEST(Linear, ARowsValueDoesNotDependOnTheOthers) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    at::Tensor x = Random({70, 48}, 1, dtype);
    const at::Tensor weight = Random({40, 48}, 2, dtype);
    const at::Tensor before = Linear(x, weight);
    x.slice(0, 1).mul_(7);
    EXPECT_TRUE(at::equal(Linear(x, weight)[0], before[0]));
  }
}

TEST(Linear, RefusesAWeightOfAnotherWidth) {
  EXPECT_THROW(Linear(Random({2, 4}, 1), Random({3, 5}, 1)), Error);
}

}  // namespace
}  // namespace tanren::kernels
