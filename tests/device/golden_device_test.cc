// The families' logits and gradients on a GPU, against transformers' in fp32 on a CPU
// (tests/golden/llama.py, qwen.py). Without a GPU these tests are skipped.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>

#include "parallel/engine/engine.h"
#include "runtime/base/error.h"
#include "runtime/formats/model_files.h"
#include "runtime/formats/safetensors.h"
#include "runtime/kernels/device_copy.h"
#include "runtime/kernels/linear_cross_entropy.h"
#include "tests/device/own_world.h"
#include "trainer/data/batch.h"
#include "trainer/loop/training_loop.h"
#include "trainer/model/model.h"
#include "trainer/objective/next_token.h"

namespace tanren::trainer {
namespace {

// fp32: max |a − b| / max |b|, as on the CPU, with room for sums in other orders. Halves: ‖a − b‖ /
// ‖b‖, since single elements of small gradients are differences of rounded numbers; these models'
// attention is so sharp that a rounding of its scores shows. (The CPU reaches 8e-6, 0.016 and
// 0.14.)
double ToleranceOf(at::ScalarType dtype) {
  if (dtype == at::kFloat) return 2e-5;
  return dtype == at::kHalf ? 0.03 : 0.25;
}

void ExpectClose(const at::Tensor& ours, const at::Tensor& theirs, at::ScalarType dtype,
                 const std::string& what) {
  ASSERT_EQ(ours.numel(), theirs.numel()) << what;
  const at::Tensor difference = kernels::ToHost(ours).flatten().to(at::kFloat) - theirs.flatten();
  const bool whole = dtype != at::kFloat;
  const auto size = [&](const at::Tensor& x) {
    return (whole ? x.norm() : x.abs().max()).item<double>();
  };
  EXPECT_LE(size(difference), ToleranceOf(dtype) * size(theirs)) << what;
}

class GoldenOnDevice : public testing::TestWithParam<std::tuple<const char*, at::ScalarType>> {
 protected:
  void SetUp() override {
    if (OwnWorld() == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
    if (!HasProducts(dtype())) GTEST_SKIP() << "this GPU has no products in bf16";
    const std::filesystem::path folder =
        std::filesystem::path("tests/golden") / std::get<0>(GetParam());
    reference_ = ValueOrThrow(formats::OpenSafetensors(folder / "reference.safetensors"));
    files_.emplace(ValueOrThrow(formats::ModelFiles::Open(folder)));
    const Model model = ValueOrThrow(BuildModel(files_->config()));
    parallel::EngineOptions options;
    options.compute_dtype = dtype();
    engine_.emplace(model.units, std::vector{model.head}, OwnWorld()->communicator(), options);
    engine_->LoadParameters(
        [this](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
          ThrowIfError(files_->weights().Read(name, begin, end, values));
        });
    MakeBatchOfReference();
  }

  at::ScalarType dtype() const { return std::get<1>(GetParam()); }

  at::Tensor Reference(const std::string& name) const {
    const std::vector<float> values = ValueOrThrow(reference_->Read(name));
    return at::tensor(at::ArrayRef<float>(values));
  }

  parallel::Activations Input() const { return InputOf(batch_, OwnWorld()->device()); }

  std::unique_ptr<formats::WeightsReader> reference_;
  std::optional<formats::ModelFiles> files_;
  std::optional<parallel::Engine> engine_;
  Batch batch_;

 private:
  void MakeBatchOfReference() {
    const at::Tensor tokens = Reference("tokens"), offsets = Reference("offsets");
    std::vector<Document> documents(offsets.numel() - 1);
    std::vector<const Document*> pointers;
    for (int64_t n = 0; n + 1 < offsets.numel(); ++n) {
      const auto begin = offsets[n].item<int64_t>(), end = offsets[n + 1].item<int64_t>();
      for (int64_t i = begin; i < end; ++i) {
        documents[n].tokens.push_back(tokens[i].item<int32_t>());
      }
      documents[n].weights.assign(documents[n].tokens.size(), 1.0f);
      pointers.push_back(&documents[n]);
    }
    batch_ = MakeBatch(pointers);
  }
};

TEST_P(GoldenOnDevice, LogitsAreTransformers) {
  engine_->Forward(Input(), [&](const at::Tensor& hidden_TD,
                                std::span<const at::Tensor> parameters) {
    EXPECT_EQ(hidden_TD.device().type(), OwnWorld()->device().type());
    ExpectClose(kernels::Logits(hidden_TD, parameters[0]), Reference("logits"), dtype(), "logits");
  });
}

TEST_P(GoldenOnDevice, LossAndAllGradientsAreTransformers) {
  // Small derivatives would be zero in fp16.
  const double scale = dtype() == at::kHalf ? 256 : 1;
  engine_->BeginStep();
  const NextToken objective;
  const at::Tensor loss = engine_->ForwardBackward(
      Input(), [&](const at::Tensor& hidden_TD, std::span<const at::Tensor> parameters,
                   std::span<at::Tensor> gradients) {
        return objective.LossAndDerivative(batch_, {hidden_TD, parameters[0], gradients[0]}, scale);
      });
  engine_->FinishStep();
  const double expected = Reference("loss_sum").item<double>();
  EXPECT_NEAR(loss.item<double>(), expected, ToleranceOf(dtype()) * expected);
  for (const auto& group : engine_->groups()) {
    for (const parallel::Piece& piece : group->layout().PiecesOf(0)) {
      const at::Tensor gradient = group->gradient_shard().slice(
          0, piece.shard_offset, piece.shard_offset + piece.range.size());
      ExpectClose(gradient / scale, Reference("grad." + piece.name), dtype(), piece.name);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, GoldenOnDevice,
                         testing::Combine(testing::Values("llama/tied", "llama/untied",
                                                          "llama/llama3_rope", "qwen/qwen2_tied",
                                                          "qwen/qwen2_untied", "qwen/qwen3"),
                                          testing::Values(at::kFloat, at::kBFloat16, at::kHalf)),
                         [](const auto& info) {
                           std::string name = std::string(std::get<0>(info.param)) + "_" +
                                              c10::toString(std::get<1>(info.param));
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

}  // namespace
}  // namespace tanren::trainer
