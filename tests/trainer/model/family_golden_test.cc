// Each family against transformers in fp32 (tests/golden/llama.py, qwen.py).
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "nlohmann/json.hpp"
#include "parallel/engine/engine.h"
#include "runtime/base/error.h"
#include "runtime/formats/model_files.h"
#include "runtime/formats/safetensors.h"
#include "runtime/kernels/linear_cross_entropy.h"
#include "trainer/data/batch.h"
#include "trainer/model/model.h"
#include "trainer/model/pretrained.h"
#include "trainer/objective/next_token.h"
#include "trainer/rollout/resident_model.h"
#include "trainer/rollout/scoring.h"

namespace tanren::trainer {
namespace {

// DESIGN.md: max |a - b| <= 1e-5 · max |b| for each tensor in fp32.
constexpr double kTolerance = 1e-5;

void ExpectClose(const at::Tensor& ours, const at::Tensor& theirs, const std::string& what) {
  ASSERT_EQ(ours.numel(), theirs.numel()) << what;
  const double worst = (ours.flatten() - theirs.flatten()).abs().max().item<double>();
  EXPECT_LE(worst, kTolerance * theirs.abs().max().item<double>()) << what;
}

class TinyModel : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::filesystem::path folder = std::filesystem::path("tests/golden") / GetParam();
    reference_ = ValueOrThrow(formats::OpenSafetensors(folder / "reference.safetensors"));
    files_.emplace(ValueOrThrow(formats::ModelFiles::Open(folder)));
    model_ = ValueOrThrow(BuildModel(files_->config()));
    const at::Tensor tokens = Reference("tokens"), offsets = Reference("offsets");
    for (int64_t n = 0; n + 1 < offsets.numel(); ++n) {
      Document& document = documents_.emplace_back();
      const auto begin = offsets[n].item<int64_t>(), end = offsets[n + 1].item<int64_t>();
      for (int64_t i = begin; i < end; ++i) document.tokens.push_back(tokens[i].item<int32_t>());
      document.weights.assign(document.tokens.size(), 1.0f);
    }
    std::vector<const Document*> pointers;
    for (const Document& document : documents_) pointers.push_back(&document);
    batch_ = MakeBatch(pointers);
    input_.tokens_T = batch_.tokens_T;
    input_.positions_T = batch_.positions_T;
    input_.document_offsets = batch_.document_offsets_N1;
  }

  at::Tensor Reference(const std::string& name) const {
    const std::vector<float> values = ValueOrThrow(reference_->Read(name));
    return at::tensor(at::ArrayRef<float>(values));
  }

  parallel::ParameterReader Reader() const {
    return [this](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
      ThrowIfError(files_->weights().Read(name, begin, end, values));
    };
  }

  std::unique_ptr<formats::WeightsReader> reference_;
  std::optional<formats::ModelFiles> files_;
  Model model_;
  std::vector<Document> documents_;
  Batch batch_;
  parallel::Activations input_;
};

TEST_P(TinyModel, LogitsOfPackedDocumentsAreThoseOfEachAlone) {
  const ResidentModel resident = ResidentModel::Load(model_, Reader(), at::kFloat);
  const at::Tensor hidden_TD = resident.Forward(input_);
  ExpectClose(kernels::Logits(hidden_TD, resident.head_weight_VD()), Reference("logits"), "logits");
}

TEST_P(TinyModel, LossAndAllGradientsAreTransformers) {
  const auto alone = comm::SingleRank();
  parallel::Engine engine(model_.units, {model_.head}, *alone, {});
  engine.LoadParameters(Reader());
  engine.BeginStep();
  const NextToken objective;
  const at::Tensor loss = engine.ForwardBackward(
      input_, [&](const at::Tensor& hidden_TD, std::span<const at::Tensor> parameters,
                  std::span<at::Tensor> gradients) {
        return objective.LossAndDerivative(batch_, {hidden_TD, parameters[0], gradients[0]}, 1.0);
      });
  engine.FinishStep();
  const double expected = Reference("loss_sum").item<double>();
  EXPECT_NEAR(loss.item<double>(), expected, kTolerance * expected);

  size_t compared = 0;
  for (const auto& group : engine.groups()) {
    for (const parallel::Piece& piece : group->layout().PiecesOf(0)) {
      const at::Tensor gradient = group->gradient_shard().slice(
          0, piece.shard_offset, piece.shard_offset + piece.range.size());
      ExpectClose(gradient, Reference("grad." + piece.name), piece.name);
      ++compared;
    }
  }
  EXPECT_EQ(compared, ParametersOf(model_).size());
}

INSTANTIATE_TEST_SUITE_P(, TinyModel,
                         testing::Values("llama/tied", "llama/untied", "llama/llama3_rope",
                                         "qwen/qwen2_tied", "qwen/qwen2_untied", "qwen/qwen3"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

TEST(SmolLm2, LogitsOnRealTextsAreTransformers) {
  std::ifstream file("tests/golden/llama/smollm2.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  ModelPaths paths;
  paths.path = TANREN_TEST_MODEL;
  const PretrainedModel model = ValueOrThrow(OpenPretrained(paths));
  const ResidentModel resident = ResidentModel::Load(model.model, model.read, at::kFloat);
  ASSERT_EQ(golden["texts"].size(), 3u);
  for (const nlohmann::json& text : golden["texts"]) {
    const auto ids = text["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(
        model.text.tokenizer->Encode(text["text"].get<std::string>(), text::SpecialTokens::kParse),
        ids);
    Document document{ids, std::vector<float>(ids.size(), 1.0f)};
    const Document* documents[] = {&document};
    const Batch batch = MakeBatch(documents);
    parallel::Activations input;
    input.tokens_T = batch.tokens_T;
    input.positions_T = batch.positions_T;
    input.document_offsets = batch.document_offsets_N1;
    const at::Tensor logits_V =
        kernels::Logits(resident.Forward(input), resident.head_weight_VD())[-1];
    const double largest = text["max_abs_logit"];
    const auto top_ids = text["last_top_ids"].get<std::vector<int64_t>>();
    const auto top_logits = text["last_top_logits"].get<std::vector<double>>();
    for (size_t i = 0; i < top_ids.size(); ++i) {
      EXPECT_NEAR(logits_V[top_ids[i]].item<double>(), top_logits[i], kTolerance * largest);
    }
    const std::vector<float> logprobs = TokenLogProbs(resident, ids);
    const auto expected = text["logprobs"].get<std::vector<double>>();
    ASSERT_EQ(logprobs.size(), expected.size());
    // A difference of two numbers as large as the logits.
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(logprobs[i], expected[i], 2 * kTolerance * largest);
    }
  }
}

}  // namespace
}  // namespace tanren::trainer
