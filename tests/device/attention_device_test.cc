// Attention over packed documents by a GPU's fused kernels, against fp64 on the CPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <string>
#include <tuple>

#include "fmt/format.h"
#include "runtime/kernels/attention.h"
#include "runtime/kernels/composed.h"
#include "runtime/kernels/device_copy.h"
#include "tests/device/own_world.h"

namespace tanren::kernels {
namespace {

class AttentionOnDevice
    : public testing::TestWithParam<std::tuple<at::ScalarType, std::tuple<int, int, int>>> {
 protected:
  void SetUp() override {
    if (OwnWorld() == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
    if (!HasProducts(dtype())) GTEST_SKIP() << "this GPU has no products in bf16";
  }
  at::ScalarType dtype() const { return std::get<0>(GetParam()); }
  double tolerance() const {
    return dtype() == at::kFloat ? 2e-5 : dtype() == at::kHalf ? 4e-3 : 3e-2;
  }
};

double WorstOf(const at::Tensor& ours, const at::Tensor& exact) {
  return ((ToHost(ours).to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>();
}

TEST_P(AttentionOnDevice, IsThatOfEachDocumentAloneForwardAndBackward) {
  const auto [heads, key_heads, size] = std::get<1>(GetParam());
  // Of one token, empty, and longer than any block of a kernel.
  const at::Tensor offsets = at::tensor({0L, 1L, 70L, 70L, 371L}, at::kLong);
  at::manual_seed(3);
  const at::Device device = OwnWorld()->device();
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  std::vector<at::Tensor> exact, ours;
  for (const int64_t count : {heads, key_heads, key_heads}) {
    // Of the dtype's values, so that only the attention rounds.
    exact.push_back(at::randn({371, count, size}).to(dtype()).to(at::kDouble).requires_grad_());
    ours.push_back(exact.back().detach().to(device, dtype()).requires_grad_());
  }
  const at::Tensor expected =
      ComposedDocumentAttention(exact[0], exact[1], exact[2], offsets, scale);
  const at::Tensor out = DocumentAttention(ours[0], ours[1], ours[2], offsets, scale);
  EXPECT_LE(WorstOf(out.detach(), expected.detach()), tolerance());
  const at::Tensor d_out = at::randn(expected.sizes()).to(dtype()).to(at::kDouble);
  const auto d_exact = torch::autograd::grad({expected}, exact, {d_out});
  const auto d_ours = torch::autograd::grad({out}, ours, {d_out.to(device, dtype())});
  for (size_t i = 0; i < exact.size(); ++i) {
    EXPECT_LE(WorstOf(d_ours[i], d_exact[i]), tolerance()) << "of argument " << i;
  }
}

std::string NameOf(const std::tuple<at::ScalarType, std::tuple<int, int, int>>& of) {
  const auto [heads, key_heads, size] = std::get<1>(of);
  return fmt::format("{}_{}_over_{}_of_{}", c10::toString(std::get<0>(of)), heads, key_heads, size);
}

INSTANTIATE_TEST_SUITE_P(
    , AttentionOnDevice,
    testing::Combine(testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                     testing::Values(std::tuple{9, 3, 64}, std::tuple{12, 2, 128},
                                     std::tuple{4, 4, 16}, std::tuple{2, 1, 6})),
    [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace tanren::kernels
