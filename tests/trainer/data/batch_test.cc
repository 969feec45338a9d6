#include "trainer/data/batch.h"

#include <ATen/ATen.h>

#include "gtest/gtest.h"

namespace tanren::trainer {
namespace {

TEST(Batch, TargetsAreTheNextTokensAndNeverCrossADocument) {
  const Document first{.tokens = {10, 11, 12}, .weights = {1, 0, 1}};
  const Document second{.tokens = {20, 21}, .weights = {1, 0.5f}};
  const std::vector<const Document*> documents = {&first, &second};
  const Batch batch = MakeBatch(documents);
  const auto same = [](const at::Tensor& found, at::ArrayRef<int64_t> expected) {
    return at::equal(found, at::tensor(expected, at::kLong));
  };
  EXPECT_TRUE(same(batch.tokens_T, {10, 11, 12, 20, 21}));
  EXPECT_TRUE(same(batch.positions_T, {0, 1, 2, 0, 1}));
  EXPECT_TRUE(same(batch.document_offsets_N1, {0, 3, 5}));
  EXPECT_TRUE(same(batch.targets_T, {11, 12, 0, 21, 0}));
  EXPECT_TRUE(at::equal(batch.weights_T, at::tensor({0.0f, 1.0f, 0.0f, 0.5f, 0.0f})));
  EXPECT_DOUBLE_EQ(TargetWeight(batch), 1.5) << "a first token's weight must not count";
}

TEST(Batch, RefusesADocumentWhoseWeightsDoNotMatchItsTokens) {
  const Document document{.tokens = {1, 2}, .weights = {1}};
  const std::vector<const Document*> documents = {&document};
  EXPECT_ANY_THROW(MakeBatch(documents));
}

}  // namespace
}  // namespace tanren::trainer
