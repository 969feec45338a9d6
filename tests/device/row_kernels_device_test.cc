// The passes over rows on a GPU, against fp64 on the CPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "fmt/format.h"
#include "runtime/kernels/composed.h"
#include "runtime/kernels/device_copy.h"
#include "runtime/kernels/device_kernels.h"
#include "runtime/kernels/logit_rows.h"
#include "runtime/kernels/norm.h"
#include "runtime/kernels/rotary.h"
#include "runtime/kernels/swiglu.h"
#include "tests/device/own_world.h"

namespace tanren::kernels {
namespace {

double WorstOf(const at::Tensor& ours, const at::Tensor& exact) {
  return ((ToHost(ours).to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>();
}

class RowKernelsOnDevice : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (OwnWorld() == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
    if (!HasProducts(dtype())) GTEST_SKIP() << "this GPU has no products in bf16";
    at::manual_seed(5);
  }
  static at::ScalarType dtype() { return GetParam(); }
  // A rounding of the result.
  static double tolerance() {
    return dtype() == at::kFloat ? 2e-6 : dtype() == at::kHalf ? 6e-4 : 5e-3;
  }
  static at::Tensor OnDevice(const at::Tensor& x) { return x.to(OwnWorld()->device(), dtype()); }
  // In fp64, of values that the dtype has.
  static at::Tensor Random(at::IntArrayRef sizes) {
    return at::randn(sizes).mul_(2).to(dtype()).to(at::kDouble);
  }
};

TEST_P(RowKernelsOnDevice, RmsNormAndItsDerivatives) {
  // Of whole 16 bytes, and not; wider than the backward kernel takes; more rows than it has warps.
  const std::pair<int64_t, int64_t> shapes[] = {
      {5, 576}, {3, 33}, {2, 4096}, {20000, 64}, {9, 1536}};
  for (const auto& [rows, width] : shapes) {
    SCOPED_TRACE(fmt::format("{} × {}", rows, width));
    const at::Tensor x = Random({rows, width}).requires_grad_();
    const at::Tensor weight = (Random({width}) + 1).to(dtype()).to(at::kDouble).requires_grad_();
    const at::Tensor d_out = Random({rows, width});
    const at::Tensor exact = weight * (x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + 1e-5));
    const auto d_exact = torch::autograd::grad({exact}, {x, weight}, {d_out});
    const at::Tensor our_x = OnDevice(x.detach()).requires_grad_();
    const at::Tensor our_weight = OnDevice(weight.detach()).requires_grad_();
    const at::Tensor out = RmsNorm(our_x, our_weight, 1e-5);
    // On the CPU the normal row is rounded before it meets the weight; fp16 is composed there.
    const double allowed = (out.is_cpu() ? 3 : 1) * tolerance();
    EXPECT_LE(WorstOf(out.detach(), exact.detach()), allowed);
    const auto d = torch::autograd::grad({out}, {our_x, our_weight}, {OnDevice(d_out)});
    EXPECT_LE(WorstOf(d[0], d_exact[0]), allowed);
    EXPECT_LE(WorstOf(d[1], d_exact[1]), (out.is_cpu() ? 30 : 4) * tolerance());
  }
}

TEST(SumOfSquaresOnDevice, IsThatOfTheCpuAndAlwaysTheSame) {
  if (OwnWorld() == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
  for (const int64_t count : {1, 1003, 3'000'000}) {
    const at::Tensor x = at::randn({count}).to(OwnWorld()->device());
    const DeviceKernels* const kernels = DeviceKernelsFor(x);
    if (kernels == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
    const double sum = kernels->SumOfSquares(x).item<double>();
    const double exact = ToHost(x).to(at::kDouble).square().sum().item<double>();
    EXPECT_NEAR(sum, exact, 1e-12 * exact);
    EXPECT_EQ(sum, kernels->SumOfSquares(x).item<double>());
  }
}

TEST_P(RowKernelsOnDevice, ConversionsRoundAsLibtorchs) {
  for (const at::ScalarType other : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const int64_t count : {4096, 1003}) {
      const at::Tensor from = OnDevice(at::randn({count}));
      const at::Tensor to = at::full({count}, NAN, from.options().dtype(other));
      Assign(to, from);
      EXPECT_TRUE(at::equal(ToHost(to), ToHost(from).to(other))) << other << " " << count;
    }
  }
}

TEST(AdamWOnDevice, StepsAreThoseOfLibtorchOnTheCpu) {
  if (OwnWorld() == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
  at::manual_seed(7);
  for (const int64_t count : {2052, 33}) {
    const at::Tensor start = at::randn({count});
    at::Tensor master = start.clone(), mean = at::zeros({count}), square = at::zeros({count});
    const auto there = [](const at::Tensor& x) { return x.to(OwnWorld()->device()).clone(); };
    const at::Tensor ours = there(master), our_mean = there(mean), our_square = there(square);
    const DeviceKernels* const kernels = DeviceKernelsFor(ours);
    if (kernels == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
    for (int64_t step = 1; step <= 4; ++step) {
      const at::Tensor gradient = at::randn({count}), scale = at::full({}, 3.0f);
      kernels->AdamW(ours, there(gradient), our_mean, our_square,
                     {1e-2, 0.9, 0.95, 1e-8, 0.1, step}, there(scale));
      at::Tensor own_gradient = gradient.clone();
      at::_fused_adamw_({master}, {own_gradient}, {mean}, {square}, {},
                        {at::full({}, static_cast<float>(step))}, 1e-2, 0.9, 0.95, 0.1, 1e-8,
                        /*amsgrad=*/false, /*maximize=*/false, scale);
    }
    EXPECT_TRUE(at::allclose(ToHost(ours), master, 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(ToHost(our_mean), mean, 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(ToHost(our_square), square, 1e-5, 1e-6));
    EXPECT_FALSE(at::allclose(master, start, 1e-3, 1e-3));
  }
}

TEST_P(RowKernelsOnDevice, SwiGluAndItsDerivatives) {
  for (const int64_t width : {96, 33}) {  // of whole 16 bytes, and not
    const at::Tensor gate = Random({7, width}).requires_grad_();
    const at::Tensor up = Random({7, width}).requires_grad_();
    const at::Tensor d_out = Random({7, width});
    const at::Tensor exact = at::silu(gate) * up;
    const auto d_exact = torch::autograd::grad({exact}, {gate, up}, {d_out});
    const at::Tensor our_gate = OnDevice(gate.detach()).requires_grad_();
    const at::Tensor our_up = OnDevice(up.detach()).requires_grad_();
    const at::Tensor out = SwiGlu(our_gate, our_up);
    EXPECT_LE(WorstOf(out.detach(), exact.detach()), tolerance()) << width;
    const auto d = torch::autograd::grad({out}, {our_gate, our_up}, {OnDevice(d_out)});
    EXPECT_LE(WorstOf(d[0], d_exact[0]), tolerance()) << width;
    EXPECT_LE(WorstOf(d[1], d_exact[1]), tolerance()) << width;
  }
}

TEST_P(RowKernelsOnDevice, RotaryTurnsHeadsThereAndBack) {
  constexpr int64_t kTokens = 13, kHeads = 3;
  for (const int64_t size : {64, 6}) {
    // Heads out of a wider row, as of one product for queries and keys.
    const at::Tensor wide = Random({kTokens, kHeads + 2, size}).requires_grad_();
    const at::Tensor angles = at::rand({kTokens, size / 2}) * 6;
    const at::Tensor cos = at::cat({angles.cos(), angles.cos()}, 1).to(dtype());
    const at::Tensor sin = at::cat({angles.sin(), angles.sin()}, 1).to(dtype());
    const at::Tensor d_out = Random({kTokens, kHeads, size});
    const at::Tensor exact =
        ComposedRotary(wide.narrow(1, 1, kHeads), {cos.to(at::kDouble), sin.to(at::kDouble)});
    const at::Tensor d_exact = torch::autograd::grad({exact}, {wide}, {d_out})[0];
    const at::Tensor our_wide = OnDevice(wide.detach()).requires_grad_();
    const at::Tensor out = Rotary(our_wide.narrow(1, 1, kHeads), {OnDevice(cos), OnDevice(sin)});
    // What libtorch is left with for fp16 on a CPU rounds three times.
    const double allowed = (out.is_cpu() ? 3 : 1) * tolerance();
    EXPECT_LE(WorstOf(out.detach(), exact.detach()), allowed) << size;
    const at::Tensor d = torch::autograd::grad({out}, {our_wide}, {OnDevice(d_out)})[0];
    EXPECT_LE(WorstOf(d, d_exact), allowed) << size;
  }
}

TEST_P(RowKernelsOnDevice, LogitStatisticsAndDerivatives) {
  constexpr int64_t kRows = 5;
  // fp16 in a CPU's place isn't offered.
  const at::ScalarType out_dtype =
      OwnWorld()->device().is_cpu() && dtype() == at::kHalf ? at::kFloat : dtype();
  for (const int64_t vocabulary : {4096, 5003, 7}) {
    for (const double temperature : {1.0, 0.7}) {
      SCOPED_TRACE(fmt::format("{} at {}", vocabulary, temperature));
      at::Tensor logits = at::randn({kRows, vocabulary}) * 3;
      logits[1][0] = -1e30;  // as masked
      logits[2] += 40;
      const at::Tensor exact_logits = logits.to(at::kDouble).requires_grad_();
      const at::Tensor targets = at::tensor({0L, 1L, vocabulary - 1, 2L, 3L}, at::kLong);
      const at::Tensor log_p = (exact_logits / temperature).log_softmax(1);
      const at::Tensor logprob = log_p.gather(1, targets.unsqueeze(1)).squeeze(1);
      const at::Tensor entropy = -(log_p.exp() * log_p.nan_to_num(0, 0, 0)).sum(1);
      const at::Tensor d_logprob = at::randn({kRows}), d_entropy = at::randn({kRows});
      const at::Tensor d_exact =
          torch::autograd::grad({logprob, entropy}, {exact_logits},
                                {d_logprob.to(at::kDouble), d_entropy.to(at::kDouble)})[0]
              .nan_to_num(0);

      const auto there = [](const at::Tensor& x) { return x.to(OwnWorld()->device()).clone(); };
      const at::Tensor our_logits = there(logits), our_targets = there(targets);
      const RowStatistics statistics = StatisticsOfRows(our_logits, our_targets, temperature, true);
      EXPECT_LE(WorstOf(statistics.logprob_R, logprob.detach()), 2e-6);
      EXPECT_LE(WorstOf(statistics.entropy_R, entropy.detach()), 2e-5);
      EXPECT_LE(WorstOf(statistics.logsumexp_R, (exact_logits.detach() / temperature).logsumexp(1)),
                2e-6);
      const at::Tensor d = DifferentiateRows(our_logits, our_targets, statistics, there(d_logprob),
                                             there(d_entropy), temperature, out_dtype);
      EXPECT_EQ(d.scalar_type(), out_dtype);
      EXPECT_LE(WorstOf(d, d_exact), out_dtype == at::kFloat ? 2e-5 : tolerance());
    }
  }
}

TEST_P(RowKernelsOnDevice, ANaNLogitMakesTheRowNaNAndNoOther) {
  const at::Device device = OwnWorld()->device();
  at::Tensor logits = at::randn({3, 1000});
  logits[1][700] = std::numeric_limits<float>::quiet_NaN();
  const RowStatistics found =
      StatisticsOfRows(logits.to(device), at::zeros({3}, at::kLong).to(device), 1, false);
  const at::Tensor finite = ToHost(found.logprob_R).isfinite();
  EXPECT_TRUE(finite[0].item<bool>() && !finite[1].item<bool>() && finite[2].item<bool>());
}

INSTANTIATE_TEST_SUITE_P(, RowKernelsOnDevice,
                         testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

}  // namespace
}  // namespace tanren::kernels
