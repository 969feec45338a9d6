#include "tests/runtime/kernels/fp64_reference.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace tanren::kernels {

at::Tensor Random(at::IntArrayRef shape, int seed, at::ScalarType dtype) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions(at::kFloat))
      .to(dtype);
}

void ExpectClose(const at::Tensor& found, const at::Tensor& expected, double tolerance,
                 const char* what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  if (found.numel() == 0) return;
  const at::Tensor wide = expected.to(at::kDouble);
  const double error = (found.to(at::kDouble) - wide).abs().max().item<double>();
  EXPECT_LE(error, tolerance * std::max(wide.abs().max().item<double>(), 0.01)) << what;
}

double Tolerance(at::ScalarType dtype) { return dtype == at::kBFloat16 ? 0.012 : 1e-5; }

Tensors ValueAndGradients(const TensorFunction& function, const Tensors& inputs) {
  Tensors leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().requires_grad_());
  const at::Tensor value = function(leaves);
  const at::Tensor derivative = Random(value.sizes(), 99, at::kBFloat16).to(value.scalar_type());
  Tensors results = torch::autograd::grad({value}, leaves, {derivative});
  results.insert(results.begin(), value.detach());
  return results;
}

void ExpectMatchesFp64(const TensorFunction& function, const TensorFunction& reference,
                       const Tensors& inputs) {
  Tensors wide;
  for (const at::Tensor& input : inputs) wide.push_back(input.to(at::kDouble));
  const Tensors found = ValueAndGradients(function, inputs);
  const Tensors expected = ValueAndGradients(reference, wide);
  for (size_t i = 0; i < found.size(); ++i) {
    const std::string what = i == 0 ? "value" : "gradient " + std::to_string(i - 1);
    EXPECT_EQ(found[i].scalar_type(), inputs[0].scalar_type()) << what;
    ExpectClose(found[i], expected[i], Tolerance(inputs[0].scalar_type()), what.c_str());
  }
  at::NoGradGuard no_grad;
  EXPECT_TRUE(at::equal(function(inputs), found[0])) << "without a graph";
}

}  // namespace tanren::kernels
