#include "runtime/kernels/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/base/error.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

struct Shape {
  std::vector<int64_t> offsets;
  int64_t heads, key_heads, head_size;
};

at::Tensor OffsetsOf(const std::vector<int64_t>& offsets) { return at::tensor(offsets, at::kLong); }

// One document and one head at a time, as the formula says it.
at::Tensor Reference(const Tensors& in, const Shape& shape, double scale) {
  const int64_t group = shape.heads / shape.key_heads;
  // So that the graph has all inputs even without a token.
  std::vector<at::Tensor> documents = {in[0].slice(0, 0, 0) + 0 * (in[1].sum() + in[2].sum())};
  for (size_t n = 0; n + 1 < shape.offsets.size(); ++n) {
    std::vector<at::Tensor> heads;
    for (int64_t h = 0; h < shape.heads; ++h) {
      const auto part = [&](const at::Tensor& x, int64_t head) {
        return x.slice(0, shape.offsets[n], shape.offsets[n + 1]).select(1, head);
      };
      const at::Tensor scores = at::mm(part(in[0], h), part(in[1], h / group).t()) * scale;
      const at::Tensor position = at::arange(scores.size(0));
      const at::Tensor later = position.unsqueeze(0) > position.unsqueeze(1);
      const at::Tensor p =
          scores.masked_fill(later, -std::numeric_limits<double>::infinity()).softmax(1);
      heads.push_back(at::mm(p, part(in[2], h / group)));
    }
    documents.push_back(at::stack(heads, 1));
  }
  return at::cat(documents);
}

Tensors Inputs(const Shape& shape, at::ScalarType dtype) {
  const int64_t tokens = shape.offsets.back();
  return {Random({tokens, shape.heads, shape.head_size}, 1, dtype),
          Random({tokens, shape.key_heads, shape.head_size}, 2, dtype),
          Random({tokens, shape.key_heads, shape.head_size}, 3, dtype)};
}

class Attention : public testing::TestWithParam<Shape> {};

TEST_P(Attention, ValueAndGradientsAreThoseOfFp64) {
  const Shape& shape = GetParam();
  const double scale = 1 / std::sqrt(static_cast<double>(shape.head_size));
  const at::Tensor offsets = OffsetsOf(shape.offsets);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    ExpectMatchesFp64(
        [&](const Tensors& in) { return DocumentAttention(in[0], in[1], in[2], offsets, scale); },
        [&](const Tensors& in) { return Reference(in, shape, scale); }, Inputs(shape, dtype));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(Shape{{0, 1}, 1, 1, 8}, Shape{{0, 33}, 3, 1, 64},
                                         Shape{{0, 5, 5, 70, 71}, 9, 3, 64},
                                         Shape{{0, 32, 96}, 4, 4, 16}, Shape{{0, 37}, 2, 1, 10},
                                         Shape{{0, 17, 100}, 6, 2, 80}, Shape{{0, 40}, 8, 1, 128},
                                         Shape{{0, 0}, 2, 1, 8}, Shape{{0}, 2, 1, 8}));

TEST(DocumentAttention, ADocumentsResultAndGradientsDoNotDependOnTheOthers) {
  const Shape shape{{0, 13, 90, 128}, 6, 2, 32};
  const auto attend = [](const at::Tensor& offsets) {
    return [=](const Tensors& in) { return DocumentAttention(in[0], in[1], in[2], offsets, 0.2); };
  };
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Tensors packed = Inputs(shape, dtype);
    Tensors changed, alone;
    for (const at::Tensor& x : packed) {
      at::Tensor y = x.clone();
      y.slice(0, 0, 13).mul_(-3);
      y.slice(0, 90).fill_(std::numeric_limits<float>::quiet_NaN());
      changed.push_back(y);
      alone.push_back(x.slice(0, 13, 90).contiguous());
    }
    const Tensors a = ValueAndGradients(attend(OffsetsOf(shape.offsets)), packed);
    const Tensors b = ValueAndGradients(attend(OffsetsOf(shape.offsets)), changed);
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(at::equal(a[i].slice(0, 13, 90), b[i].slice(0, 13, 90))) << i;
    }
    const at::Tensor value = attend(OffsetsOf({0, 77}))(alone);
    EXPECT_TRUE(at::equal(value, a[0].slice(0, 13, 90)));
  }
}

TEST(DocumentAttention, TakesViewsOfAFusedProjection) {
  const at::Tensor fused = Random({20, 10, 16}, 1);
  const at::Tensor q = fused.slice(1, 0, 6), k = fused.slice(1, 6, 8), v = fused.slice(1, 8);
  const at::Tensor offsets = OffsetsOf({0, 12, 20});
  EXPECT_TRUE(
      at::equal(DocumentAttention(q, k, v, offsets, 0.25),
                DocumentAttention(q.contiguous(), k.contiguous(), v.contiguous(), offsets, 0.25)));
}

TEST(DocumentAttention, LargeScoresDoNotOverflow) {
  const Shape shape{{0, 70}, 2, 1, 16};
  Tensors in = Inputs(shape, at::kFloat);
  in[0] *= 100;
  const at::Tensor found = DocumentAttention(in[0], in[1], in[2], OffsetsOf(shape.offsets), 1);
  Tensors wide;
  for (const at::Tensor& x : in) wide.push_back(x.to(at::kDouble));
  ExpectClose(found, Reference(wide, shape, 1), 1e-3, "value");
}

TEST(DocumentAttention, TheSameInputGivesTheSameBits) {
  const Shape shape{{0, 150, 260}, 6, 2, 32};
  const auto attend = [&](const Tensors& in) {
    return DocumentAttention(in[0], in[1], in[2], OffsetsOf(shape.offsets), 0.2);
  };
  const Tensors in = Inputs(shape, at::kFloat);
  const Tensors a = ValueAndGradients(attend, in), b = ValueAndGradients(attend, in);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
}

TEST(DocumentAttention, RefusesOffsetsThatDoNotCoverTheTokens) {
  const Tensors in = Inputs({{0, 8}, 2, 1, 8}, at::kFloat);
  for (const auto& offsets :
       std::vector<std::vector<int64_t>>{{0, 7}, {1, 8}, {0, 9}, {0, 5, 3, 8}}) {
    EXPECT_THROW(DocumentAttention(in[0], in[1], in[2], OffsetsOf(offsets), 1), Error);
  }
}

TEST(DocumentAttention, RefusesHeadsThatDoNotDivide) {
  EXPECT_THROW(DocumentAttention(Random({4, 3, 8}, 1), Random({4, 2, 8}, 2), Random({4, 2, 8}, 3),
                                 OffsetsOf({0, 4}), 1),
               Error);
}

}  // namespace
}  // namespace tanren::kernels
