#include "trainer/objective/next_token.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "trainer/objective/objective.h"

namespace tanren::trainer {
namespace {

// The same loss as a function of the statistics: the form that later objectives need.
class NextTokenInTwoPasses final : public StatisticsObjective {
 protected:
  LossTerm Loss(const kernels::TokenStatistics& statistics, const Batch& batch) const override {
    LossTerm term;
    term.sum = -(statistics.logprob_T.to(at::kDouble) * batch.weights_T).sum();
    term.d_logprob_T = -batch.weights_T;
    return term;
  }
};

// −entropy · weight: a loss that needs the second statistic.
class NegativeEntropy final : public StatisticsObjective {
 protected:
  bool needs_entropy() const override { return true; }
  LossTerm Loss(const kernels::TokenStatistics& statistics, const Batch& batch) const override {
    LossTerm term;
    term.sum = -(statistics.entropy_T.to(at::kDouble) * batch.weights_T).sum();
    term.d_logprob_T = at::zeros_like(batch.weights_T);
    term.d_entropy_T = -batch.weights_T;
    return term;
  }
};

class ObjectiveTest : public testing::Test {
 protected:
  ObjectiveTest() {
    at::manual_seed(1);
    const Document first{{3, 1, 4, 1, 5}, {0, 0, 1, 1, 1}}, second{{2, 7, 1}, {0, 0.5f, 1}};
    const Document* documents[] = {&first, &second};
    batch_ = MakeBatch(documents);
    hidden_TD_ = at::randn({8, 6});
    weight_VD_ = at::randn({11, 6});
  }

  HeadInput Head(at::Tensor gradient) const {
    return {hidden_TD_, weight_VD_, std::move(gradient)};
  }

  // The loss in double by composed operations, and its derivatives by autograd.
  struct Expected {
    double loss = 0;
    at::Tensor d_hidden, d_weight;
  };
  template <typename LossOfLogProbs>
  Expected Reference(const LossOfLogProbs& loss_of) const {
    const at::AutoGradMode record(true);
    const at::Tensor hidden = hidden_TD_.to(at::kDouble).requires_grad_();
    const at::Tensor weight = weight_VD_.to(at::kDouble).requires_grad_();
    const at::Tensor loss = loss_of(at::log_softmax(hidden.matmul(weight.t()), -1));
    loss.backward();
    return {loss.item<double>(), hidden.grad(), weight.grad()};
  }

  void ExpectEqual(const Objective& objective, const Expected& expected, double scale) const {
    at::Tensor gradient = at::ones({11, 6});  // to be added to
    const parallel::HeadResult result = objective.LossAndDerivative(batch_, Head(gradient), scale);
    EXPECT_NEAR(result.loss_sum.item<double>(), expected.loss, 1e-5);
    EXPECT_TRUE(
        at::allclose(result.d_hidden.to(at::kDouble), expected.d_hidden * scale, 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(gradient.to(at::kDouble), 1 + expected.d_weight * scale, 1e-5, 1e-6));
  }

  Expected CrossEntropy() const {
    return Reference([this](const at::Tensor& logprobs_TV) {
      const at::Tensor of_target = logprobs_TV.gather(1, batch_.targets_T.unsqueeze(1)).squeeze(1);
      return -(of_target * batch_.weights_T.to(at::kDouble)).sum();
    });
  }

  Batch batch_;
  at::Tensor hidden_TD_, weight_VD_;
};

TEST_F(ObjectiveTest, NextTokenIsWeightedCrossEntropyWithItsDerivatives) {
  ExpectEqual(NextToken(), CrossEntropy(), 0.25);
}

TEST_F(ObjectiveTest, TwoPassesGiveWhatOneGives) {
  ExpectEqual(NextTokenInTwoPasses(), CrossEntropy(), 0.25);
}

TEST_F(ObjectiveTest, AnObjectiveMayDependOnTheEntropy) {
  ExpectEqual(NegativeEntropy(), Reference([this](const at::Tensor& logprobs_TV) {
                const at::Tensor entropy_T = -(logprobs_TV.exp() * logprobs_TV).sum(-1);
                return -(entropy_T * batch_.weights_T.to(at::kDouble)).sum();
              }),
              0.5);
}

TEST_F(ObjectiveTest, AFrozenHeadGetsNoGradient) {
  const parallel::HeadResult with =
      NextToken().LossAndDerivative(batch_, Head(at::zeros({11, 6})), 1);
  const NextToken one_pass;
  const NextTokenInTwoPasses two_passes;
  for (const Objective* objective :
       std::initializer_list<const Objective*>{&one_pass, &two_passes}) {
    const parallel::HeadResult result = objective->LossAndDerivative(batch_, Head({}), 1);
    EXPECT_TRUE(at::allclose(result.d_hidden, with.d_hidden, 1e-5, 1e-6));
  }
}

TEST_F(ObjectiveTest, PositionsWithoutWeightGetNoDerivative) {
  const parallel::HeadResult result = NextToken().LossAndDerivative(batch_, Head({}), 1);
  for (int64_t t = 0; t < 8; ++t) {
    const bool weighted = batch_.weights_T[t].item<float>() != 0;
    EXPECT_EQ(result.d_hidden[t].abs().max().item<float>() > 0, weighted) << t;
  }
}

}  // namespace
}  // namespace tanren::trainer
