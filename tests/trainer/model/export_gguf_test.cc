#include "trainer/model/export_gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "runtime/base/error.h"
#include "runtime/formats/model_files.h"
#include "tests/trainer/model/tiny_model.h"
#include "trainer/model/export.h"
#include "trainer/rollout/generator.h"
#include "trainer/rollout/resident_model.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;

constexpr auto kParse = text::SpecialTokens::kParse;

class GgufExport : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("tanren_export_gguf_{}", getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // SmolLM2's tokenizer and template with a tiny model's weights.
  PretrainedModel Tiny() const {
    PretrainedModel model = TinyModel(folder_, /*vocabulary=*/49160, /*end_token=*/0);
    model.end_tokens = {0, 2, 7};  // the configuration's, the tokenizer's, and generation's
    return model;
  }

  static PretrainedModel Open(const fs::path& path) {
    ModelPaths paths;
    paths.path = path;
    return ValueOrThrow(OpenPretrained(paths));
  }

  fs::path folder_;
};

void ExpectSameWeights(const PretrainedModel& a, const PretrainedModel& b) {
  for (const parallel::ParameterSpec& spec : ParametersOf(a.model)) {
    int64_t numel = 1;
    for (const int64_t size : spec.shape) numel *= size;
    std::vector<float> before(static_cast<size_t>(numel)), after(before.size());
    a.read(spec.name, 0, numel, before);
    b.read(spec.name, 0, numel, after);
    EXPECT_TRUE(before == after) << spec.name;
  }
}

TEST_F(GgufExport, OpensAgainWithTheSameWeightsTextAndEndTokens) {
  const PretrainedModel model = Tiny();
  const absl::Status status = ExportGguf(model, formats::DType::kF32, folder_ / "out.gguf");
  ASSERT_TRUE(status.ok()) << status;
  const PretrainedModel again = Open(folder_ / "out.gguf");
  ExpectSameWeights(model, again);
  EXPECT_EQ(again.end_tokens, model.end_tokens);
  EXPECT_EQ(again.text.chat_template_source, model.text.chat_template_source);
  const std::string text = "Sort 3, 1 and 2.<|im_end|>\n数字";
  EXPECT_EQ(again.text.tokenizer->Encode(text, kParse), model.text.tokenizer->Encode(text, kParse));
  EXPECT_EQ(again.text.tokenizer->eos_id(), 2);
  EXPECT_EQ(again.text.tokenizer->pad_id(), model.text.tokenizer->pad_id());
}

TEST_F(GgufExport, AHuggingFaceDirectoryGivesTheSameFile) {
  const PretrainedModel model = Tiny();
  ASSERT_TRUE(ExportModel(model, formats::DType::kBF16, folder_ / "directory").ok());
  const fs::path first = folder_ / "a" / "out.gguf", second = folder_ / "b" / "out.gguf";
  fs::create_directories(first.parent_path());
  fs::create_directories(second.parent_path());
  ASSERT_TRUE(ExportGguf(model, formats::DType::kBF16, first).ok());
  const absl::Status status =
      ExportGguf(Open(folder_ / "directory"), formats::DType::kBF16, second);
  ASSERT_TRUE(status.ok()) << status;
  const auto content = [](const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_TRUE(content(first) == content(second));
}

TEST_F(GgufExport, AFailingReaderKeepsTheOldFileAndLeavesNothingElse) {
  PretrainedModel model = Tiny();
  std::ofstream(folder_ / "out.gguf") << "old";
  model.read = [](const std::string&, int64_t, int64_t, std::span<float>) {
    throw Error(absl::DataLossError("a broken disk"));
  };
  const absl::Status status = ExportGguf(model, formats::DType::kF32, folder_ / "out.gguf");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(fs::file_size(folder_ / "out.gguf"), 3u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(GgufExport, ATokenizerThatAGgufCantExpressIsNamedWithTheFile) {
  PretrainedModel model = Tiny();
  model.config.vocab_size = 40000;
  const absl::Status status = ExportGguf(model, formats::DType::kF32, folder_ / "out.gguf");
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(testing::HasSubstr("out.gguf: the tokenizer"),
                             testing::HasSubstr("49152 tokens")));
}

std::vector<std::vector<int32_t>> GreedyAnswers(const PretrainedModel& model) {
  const ResidentModel resident = ResidentModel::Load(model.model, model.read, at::kFloat);
  const Generator generator(resident, *model.text.tokenizer, {.end_tokens = model.end_tokens});
  std::vector<GenerationRequest> requests;
  for (const char* prompt :
       {"The capital of France is",
        "<|im_start|>user\nWrite a haiku.<|im_end|>\n<|im_start|>assistant\n"}) {
    GenerationRequest& request = requests.emplace_back();
    request.prompt = model.text.tokenizer->Encode(prompt, kParse);
    request.max_new_tokens = 24;
  }
  std::vector<std::vector<int32_t>> answers;
  for (const Generation& answer : generator.Generate(requests)) answers.push_back(answer.ids);
  return answers;
}

TEST_F(GgufExport, SmolLm2AsF32IsTheSameModelWithTheSameTokenizerAndAnswers) {
  const fs::path file = folder_ / "smollm2.gguf";
  const PretrainedModel model = Open(TANREN_TEST_MODEL);
  const absl::Status status = ExportGguf(model, formats::DType::kF32, file);
  ASSERT_TRUE(status.ok()) << status;
  const PretrainedModel again = Open(file);
  ExpectSameWeights(model, again);
  EXPECT_EQ(GreedyAnswers(again), GreedyAnswers(model));

  const auto before = ValueOrThrow(formats::ModelFiles::Open(TANREN_TEST_MODEL));
  const auto after = ValueOrThrow(formats::ModelFiles::Open(file));
  EXPECT_EQ(formats::ToJson(after.config()), formats::ToJson(before.config()));
  EXPECT_EQ(after.chat_template(), before.chat_template());
  const formats::GgufTokenizer& given = before.gguf_tokenizer().value();
  const formats::GgufTokenizer& written = after.gguf_tokenizer().value();
  EXPECT_EQ(written.model, given.model);
  EXPECT_EQ(written.pre, given.pre);
  EXPECT_TRUE(written.tokens == given.tokens);
  EXPECT_TRUE(written.token_types == given.token_types);
  EXPECT_TRUE(written.merges == given.merges);
  EXPECT_EQ(written.bos_id, given.bos_id);
  EXPECT_EQ(written.eos_id, given.eos_id);
  EXPECT_EQ(written.pad_id, given.pad_id);
  EXPECT_EQ(written.unk_id, given.unk_id);
  EXPECT_EQ(written.add_bos, given.add_bos);
  EXPECT_EQ(written.add_eos, given.add_eos);
}

}  // namespace
}  // namespace tanren::trainer
