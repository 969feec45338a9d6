#include "trainer/rollout/scoring.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "runtime/formats/model_files.h"
#include "trainer/model/model.h"

namespace tanren::trainer {
namespace {

ResidentModel Tiny() {
  const auto files = ValueOrThrow(formats::ModelFiles::Open("tests/golden/llama/tied"));
  return ResidentModel::Load(
      ValueOrThrow(BuildModel(files.config())),
      [&](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
        ThrowIfError(files.weights().Read(name, begin, end, values));
      },
      at::kFloat);
}

TEST(Scoring, ADocumentsLossIsTheSumOfItsTokensWhateverItIsPackedWith) {
  const ResidentModel model = Tiny();
  const Document first{{5, 6, 7, 8}, {1, 1, 1, 1}}, second{{9, 10, 11}, {0, 0, 2}};
  const Document* documents[] = {&first, &second};
  const Batch batch = MakeBatch(documents);
  const std::vector<double> losses = DocumentLosses(model, batch);
  ASSERT_EQ(losses.size(), 2u);
  const std::vector<float> of_first = TokenLogProbs(model, first.tokens);
  const std::vector<float> of_second = TokenLogProbs(model, second.tokens);
  EXPECT_NEAR(losses[0], -(of_first[0] + of_first[1] + of_first[2]), 1e-5);
  EXPECT_NEAR(losses[1], -2 * of_second[1], 1e-5);
  EXPECT_EQ(DocumentWeights(batch), (std::vector<double>{3, 2}));
}

}  // namespace
}  // namespace tanren::trainer
