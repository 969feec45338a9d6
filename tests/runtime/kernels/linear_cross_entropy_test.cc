#include "runtime/kernels/linear_cross_entropy.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "runtime/base/error.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

struct Head {
  at::Tensor hidden, weight, targets, weights;
};

Head MakeHead(int64_t tokens, int64_t width, int64_t vocabulary, at::ScalarType dtype) {
  Head head{Random({tokens, width}, 1, dtype), Random({vocabulary, width}, 2, dtype) * 0.3,
            (at::arange(tokens) * 7919) % vocabulary, Random({tokens}, 3).abs()};
  head.weights.masked_fill_(at::arange(tokens).remainder(3).eq(1), 0);
  return head;
}

// Sums are fp32; the derivatives by the logits enter them rounded to bf16, to within 2⁻⁹ of
// themselves.
double WeightTolerance(at::ScalarType dtype) { return dtype == at::kBFloat16 ? 1.0 / 256 : 1e-4; }

const std::vector<std::vector<int64_t>> kSizes = {
    {1, 1, 1}, {1, 8, 50}, {7, 20, 33}, {0, 8, 10}, {600, 12, 101}, {300, 64, 1000}, {33, 65, 17}};

// log p and entropy of every token in fp64, differentiable.
std::pair<at::Tensor, at::Tensor> Reference(const at::Tensor& hidden, const at::Tensor& weight,
                                            const at::Tensor& targets, double temperature) {
  const at::Tensor log_p = (at::mm(hidden, weight.t()) / temperature).log_softmax(1);
  return {log_p.gather(1, targets.unsqueeze(1)).squeeze(1), -(log_p.exp() * log_p).sum(1)};
}

TEST(LinearCrossEntropy, LossAndGradientsAreThoseOfFp64) {
  const double scale = 0.7;
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& size : kSizes) {
      SCOPED_TRACE(testing::Message()
                   << dtype << " " << size[0] << " " << size[1] << " " << size[2]);
      const Head head = MakeHead(size[0], size[1], size[2], dtype);
      at::Tensor gradient = at::ones({size[2], size[1]});  // it is added into
      const auto found = LinearCrossEntropy(head.hidden, head.weight, head.targets, head.weights,
                                            scale, &gradient);
      const at::Tensor hidden = head.hidden.to(at::kDouble).requires_grad_();
      const at::Tensor weight = head.weight.to(at::kDouble).requires_grad_();
      const at::Tensor loss =
          -(Reference(hidden, weight, head.targets, 1).first * head.weights.to(at::kDouble)).sum();
      const auto expected = torch::autograd::grad({loss * scale}, {hidden, weight});
      EXPECT_NEAR(found.loss_sum.item<double>(), loss.item<double>(),
                  1e-6 * std::abs(loss.item<double>()) + 1e-5);
      EXPECT_EQ(found.d_hidden_TD.scalar_type(), dtype);
      ExpectClose(found.d_hidden_TD + 1, expected[0] + 1, Tolerance(dtype), "hidden");
      ExpectClose(gradient, expected[1] + 1, WeightTolerance(dtype), "weight");
    }
  }
}

// A row that isn't computed may hold anything, even a target outside the vocabulary.
TEST(LinearCrossEntropy, TokensOfWeightZeroAreNotComputed) {
  Head head = MakeHead(40, 16, 30, at::kFloat);
  at::Tensor plain_gradient = at::zeros_like(head.weight), gradient = at::zeros_like(head.weight);
  const auto plain =
      LinearCrossEntropy(head.hidden, head.weight, head.targets, head.weights, 1, &plain_gradient);
  const at::Tensor unused = head.weights.eq(0);
  head.hidden.masked_fill_(unused.unsqueeze(1), std::numeric_limits<float>::quiet_NaN());
  head.targets.masked_fill_(unused, -100);
  const auto found =
      LinearCrossEntropy(head.hidden, head.weight, head.targets, head.weights, 1, &gradient);
  EXPECT_TRUE(found.loss_sum.equal(plain.loss_sum));
  EXPECT_TRUE(at::equal(found.d_hidden_TD, plain.d_hidden_TD));
  EXPECT_TRUE(at::equal(gradient, plain_gradient));
  EXPECT_EQ(found.d_hidden_TD.index({unused}).abs().sum().item<float>(), 0);
}

TEST(LinearCrossEntropy, AWeightGradientThatNobodyWantsIsNotComputed) {
  const Head head = MakeHead(9, 16, 30, at::kFloat);
  at::Tensor gradient = at::zeros_like(head.weight);
  const auto with =
      LinearCrossEntropy(head.hidden, head.weight, head.targets, head.weights, 1, &gradient);
  const auto without =
      LinearCrossEntropy(head.hidden, head.weight, head.targets, head.weights, 1, nullptr);
  EXPECT_TRUE(with.loss_sum.equal(without.loss_sum));
  EXPECT_TRUE(at::equal(with.d_hidden_TD, without.d_hidden_TD));
}

TEST(LogProbabilities, AndTheirDerivativesAreThoseOfFp64) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& size : kSizes) {
      for (const double temperature : {1.0, 0.6}) {
        SCOPED_TRACE(testing::Message() << dtype << " " << size[0] << " " << size[2]);
        const Head head = MakeHead(size[0], size[1], size[2], dtype);
        const auto found = LogProbabilities(head.hidden, head.weight, head.targets, std::nullopt,
                                            true, temperature);
        const at::Tensor hidden = head.hidden.to(at::kDouble).requires_grad_();
        const at::Tensor weight = head.weight.to(at::kDouble).requires_grad_();
        const auto [logprob, entropy] = Reference(hidden, weight, head.targets, temperature);
        ExpectClose(found.logprob_T, logprob, 1e-5, "log-probability");
        ExpectClose(found.entropy_T + 1, entropy + 1, 1e-5, "entropy");

        const at::Tensor d_logprob = Random({size[0]}, 5), d_entropy = Random({size[0]}, 6);
        const auto expected =
            torch::autograd::grad({logprob, entropy}, {hidden, weight},
                                  {d_logprob.to(at::kDouble), d_entropy.to(at::kDouble)});
        at::Tensor gradient = at::ones({size[2], size[1]});
        const at::Tensor d_hidden = LogProbabilitiesBackward(
            head.hidden, head.weight, head.targets, found, d_logprob, d_entropy, &gradient);
        ExpectClose(d_hidden + 1, expected[0] + 1, Tolerance(dtype), "hidden");
        ExpectClose(gradient, expected[1] + 1, WeightTolerance(dtype), "weight");
      }
    }
  }
}

TEST(LogProbabilities, TwoPassesAgreeWithOne) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Head head = MakeHead(600, 24, 200, dtype);
    at::Tensor one_gradient = at::zeros({200, 24}), two_gradient = at::zeros({200, 24});
    const auto one = LinearCrossEntropy(head.hidden, head.weight, head.targets, head.weights, 0.5,
                                        &one_gradient);
    const auto two = LogProbabilities(head.hidden, head.weight, head.targets, head.weights.ne(0));
    const at::Tensor d_hidden =
        LogProbabilitiesBackward(head.hidden, head.weight, head.targets, two, head.weights * -0.5,
                                 std::nullopt, &two_gradient);
    EXPECT_NEAR(one.loss_sum.item<double>(), -(two.logprob_T * head.weights).sum().item<double>(),
                1e-5 * one.loss_sum.item<double>());
    ExpectClose(d_hidden, one.d_hidden_TD, 1e-6, "hidden");
    ExpectClose(two_gradient, one_gradient, 1e-6, "weight");
  }
}

TEST(LogProbabilities, MaskedTokensHoldZero) {
  const Head head = MakeHead(10, 8, 20, at::kFloat);
  const at::Tensor mask = at::arange(10).lt(4);
  const auto some = LogProbabilities(head.hidden, head.weight, head.targets, mask, true);
  const auto all = LogProbabilities(head.hidden, head.weight, head.targets, std::nullopt, true);
  EXPECT_TRUE(at::equal(some.logprob_T.slice(0, 0, 4), all.logprob_T.slice(0, 0, 4)));
  EXPECT_EQ(some.logprob_T.slice(0, 4).abs().sum().item<float>(), 0);
  EXPECT_EQ(some.entropy_T.slice(0, 4).abs().sum().item<float>(), 0);
  const at::Tensor d_hidden = LogProbabilitiesBackward(head.hidden, head.weight, head.targets, some,
                                                       at::ones({10}), std::nullopt, nullptr);
  EXPECT_GT(d_hidden.slice(0, 0, 4).abs().sum().item<float>(), 0);
  EXPECT_EQ(d_hidden.slice(0, 4).abs().sum().item<float>(), 0);
}

TEST(LogProbabilities, HugeLogitsDoNotOverflow) {
  Head head = MakeHead(5, 8, 20, at::kFloat);
  head.hidden *= 1e4;
  const auto found = LogProbabilities(head.hidden, head.weight, head.targets, std::nullopt, true);
  EXPECT_TRUE(found.logprob_T.isfinite().all().item<bool>());
  EXPECT_TRUE(found.entropy_T.isfinite().all().item<bool>());
  EXPECT_TRUE(LogProbabilitiesBackward(head.hidden, head.weight, head.targets, found, at::ones({5}),
                                       at::ones({5}), nullptr)
                  .isfinite()
                  .all()
                  .item<bool>());
}

TEST(Logits, AreTheProductInFp32) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {0, 1, 3, 20}) {
      const Head head = MakeHead(rows, 40, 77, dtype);
      const at::Tensor found = Logits(head.hidden, head.weight);
      EXPECT_EQ(found.scalar_type(), at::kFloat);
      ExpectClose(found, at::mm(head.hidden.to(at::kDouble), head.weight.to(at::kDouble).t()), 1e-5,
                  "logits");
    }
  }
}

TEST(LinearCrossEntropy, RefusesATargetOutsideTheVocabulary) {
  Head head = MakeHead(4, 8, 20, at::kFloat);
  head.targets[0] = 20;
  EXPECT_THROW(LogProbabilities(head.hidden, head.weight, head.targets), Error);
  EXPECT_THROW(
      LinearCrossEntropy(head.hidden, head.weight, head.targets, at::ones({4}), 1, nullptr), Error);
}

TEST(LogitChunkRows, OnAGpuTakeAGigabyteAtMost) {
  EXPECT_EQ(LogitChunkRows(49152, at::kCPU), 512);
  for (const int64_t vocabulary : {1000, 49152, 151936, 262144}) {
    const int64_t rows = LogitChunkRows(vocabulary, at::kCUDA);
    EXPECT_GE(rows, 512);
    EXPECT_LE(rows * vocabulary * 4, int64_t{1} << 30);
    EXPECT_GT((rows + 128) * vocabulary * 4, int64_t{1} << 30);
  }
  EXPECT_EQ(LogitChunkRows(10'000'000, at::kCUDA), 512);
}

}  // namespace
}  // namespace tanren::kernels
