#include "trainer/model/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/formats/model_files.h"
#include "tests/trainer/model/tiny_model.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;

// SmolLM2's tokenizer and template with a tiny model's weights.
class Export : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("tanren_export_{}", getpid());
    fs::create_directories(folder_);
    model_ = TinyModel(folder_, /*vocabulary=*/49152, /*end_token=*/2);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
  PretrainedModel model_;
};

TEST_F(Export, OpensAgainWithTheSameWeightsTextAndEndTokens) {
  ASSERT_TRUE(ExportModel(model_, formats::DType::kF32, folder_ / "out").ok());
  ModelPaths paths;
  paths.path = folder_ / "out";
  const PretrainedModel again = ValueOrThrow(OpenPretrained(paths));
  for (const parallel::ParameterSpec& spec : ParametersOf(model_.model)) {
    std::vector<float> before(8), after(8);
    model_.read(spec.name, 0, 8, before);
    again.read(spec.name, 0, 8, after);
    EXPECT_EQ(before, after) << spec.name;
  }
  EXPECT_EQ(again.end_tokens, model_.end_tokens);
  EXPECT_EQ(again.text.chat_template_source, model_.text.chat_template_source);
  const std::string text = "Sort 3, 1 and 2.<|im_end|>\n数字";
  EXPECT_EQ(again.text.tokenizer->Encode(text, text::SpecialTokens::kParse),
            model_.text.tokenizer->Encode(text, text::SpecialTokens::kParse));
}

TEST_F(Export, ConfigurationSaysTheTypeOfTheWeights) {
  ASSERT_TRUE(ExportModel(model_, formats::DType::kBF16, folder_ / "out").ok());
  std::ifstream file(folder_ / "out" / "config.json");
  const nlohmann::json config = nlohmann::json::parse(file);
  EXPECT_EQ(config.value("torch_dtype", config.value("dtype", "")), "bfloat16");
}

TEST_F(Export, AFailingReaderLeavesNothingBehind) {
  model_.read = [](const std::string&, int64_t, int64_t, std::span<float>) {
    throw Error(absl::DataLossError("a broken disk"));
  };
  const absl::Status status = ExportModel(model_, formats::DType::kF32, folder_ / "out");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

// A tiny golden model, with SmolLM2's tokenizer for want of its own.
class ExportOfFamily : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string name = GetParam();
    folder_ = fs::temp_directory_path() /
              fmt::format("tanren_export_{}_{}", getpid(), name.substr(name.find('/') + 1));
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_P(ExportOfFamily, ReadsBackWithTheSameConfigurationAndTensors) {
  const auto source =
      ValueOrThrow(formats::ModelFiles::Open(fs::path("tests/golden") / GetParam()));
  PretrainedModel model;
  model.config = source.config();
  model.model = ValueOrThrow(BuildModel(model.config));
  model.text = ValueOrThrow(OpenModelText(TANREN_TEST_MODEL));
  model.read = [&](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
    ThrowIfError(source.weights().Read(name, begin, end, values));
  };
  ASSERT_EQ(ExportModel(model, formats::DType::kF32, folder_), absl::OkStatus());

  const auto again = ValueOrThrow(formats::ModelFiles::Open(folder_));
  EXPECT_EQ(formats::ToJson(again.config()), formats::ToJson(source.config()));
  EXPECT_EQ(again.config().architecture, source.config().architecture);
  ASSERT_EQ(again.weights().tensors().size(), source.weights().tensors().size());
  for (const formats::TensorInfo& tensor : source.weights().tensors()) {
    EXPECT_EQ(*again.weights().Read(tensor.name), *source.weights().Read(tensor.name))
        << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(, ExportOfFamily,
                         testing::Values("llama/llama3_rope", "qwen/qwen2_tied",
                                         "qwen/qwen2_untied", "qwen/qwen3"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(name.find('/') + 1);
                         });

TEST(OpenPretrained, SaysWhatIsMissing) {
  ModelPaths paths;
  paths.path = "tests/golden/llama/tied";
  const absl::Status status = OpenPretrained(paths).status();
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("tokenizer"));
}

}  // namespace
}  // namespace tanren::trainer
