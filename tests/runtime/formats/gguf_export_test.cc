#include "runtime/formats/gguf_export.h"

#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/formats/gguf.h"
#include "tests/runtime/formats/golden.h"
#include "tests/runtime/formats/llama_config.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

ReadParameter ReaderOf(const ModelFiles& files) {
  return [&](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
    return files.weights().Read(name, begin, end, values);
  };
}

// A number that tells where it comes from, and that all types but Q8_0 hold.
absl::Status ReadPlace(const std::string& name, int64_t begin, int64_t end,
                       std::span<float> values) {
  for (int64_t i = begin; i < end; ++i) {
    values[static_cast<size_t>(i - begin)] =
        static_cast<float>((i * 7 + static_cast<int64_t>(std::hash<std::string>()(name) % 251)) %
                           251) /
        64;
  }
  return absl::OkStatus();
}

ModelConfig SmallConfig() {
  ModelConfig config = LlamaConfig({.hidden = 32,
                                    .intermediate = 64,
                                    .layers = 2,
                                    .heads = 4,
                                    .key_value_heads = 2,
                                    .head_dim = 16,
                                    .vocabulary = 6});
  config.tie_word_embeddings = false;
  config.bos_token_id = 1;
  config.eos_token_ids = {2, 4, 3};
  config.pad_token_id = 0;
  return config;
}

GgufTokenizer SmallVocabulary() {
  GgufTokenizer tokenizer;
  tokenizer.model = "gpt2";
  tokenizer.pre = "smollm";
  tokenizer.tokens = {"<pad>", "<s>", "</s>", "<eom>", "<eot>", "字"};
  tokenizer.token_types = {3, 3, 3, 3, 3, 1};
  tokenizer.merges = {"a b", "b c"};
  tokenizer.unk_id = 5;
  tokenizer.add_bos = true;
  return tokenizer;
}

// The peer's packages lay the model out in llama.gguf: tests/golden/formats.py.
TEST(GgufExport, ADirectoryBecomesTheGgufThatThePeerMakesOfIt) {
  const auto files = ModelFiles::Open(GoldenPath("llama"));
  ASSERT_TRUE(files.ok()) << files.status();
  const fs::path file = EmptyFolder("out") / "tiny.gguf";
  GgufModel model{files->config(), "tiny", std::nullopt, ""};
  const absl::Status status = WriteGgufModel(file, model, DType::kF32, ReaderOf(*files));
  ASSERT_TRUE(status.ok()) << status;
  const auto ours = Gguf::Open(file), theirs = Gguf::Open(GoldenPath("llama.gguf"));
  ASSERT_TRUE(ours.ok() && theirs.ok()) << ours.status();
  EXPECT_EQ((*ours)->tensors().size(), (*theirs)->tensors().size());
  for (const TensorInfo& tensor : (*theirs)->tensors()) {
    const TensorInfo* found = (*ours)->Find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->shape, tensor.shape) << tensor.name;
    const std::vector<float> expected = *(*theirs)->Read(tensor.name);
    const std::vector<float> values = *(*ours)->Read(tensor.name);
    if (tensor.name == "rope_freqs.weight") {
      // Theirs is a quotient of two fp32 frequencies.
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(values[i], expected[i], 1e-6 * expected[i]) << i;
      }
    } else {
      EXPECT_EQ(values, expected) << tensor.name;
    }
  }
  for (const auto& [key, value] : (*theirs)->metadata()) {
    if (key.starts_with("tokenizer.")) continue;
    const auto found = (*ours)->metadata().find(key);
    ASSERT_NE(found, (*ours)->metadata().end()) << key;
    EXPECT_EQ(found->second, value) << key;
  }
}

struct Family {
  const char* model_type;
  const char* architecture;
};

class Families : public testing::TestWithParam<Family> {};

TEST_P(Families, OpenAgainAsTheSameModel) {
  GgufModel model{SmallConfig(), "small", SmallVocabulary(), "{{ messages }}"};
  ModelConfig& config = model.config;
  config.model_type = GetParam().model_type;
  config.architecture = GetParam().architecture;
  config.tie_word_embeddings = config.model_type == "qwen2";
  config.attention_bias = config.model_type != "qwen3";
  config.attention_output_bias = config.mlp_bias = config.model_type == "llama";
  config.query_key_norm = config.model_type == "qwen3";
  config.rope_scaling.kind = RopeScaling::Kind::kLinear;
  config.rope_scaling.factor = 2.5;
  const fs::path file = EmptyFolder("out") / "small.gguf";
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const absl::Status status = WriteGgufModel(file, model, dtype, ReadPlace);
    ASSERT_TRUE(status.ok()) << status;
    const auto files = ModelFiles::Open(file);
    ASSERT_TRUE(files.ok()) << files.status();
    EXPECT_EQ(ToJson(files->config()), ToJson(config));
    for (const TensorInfo& tensor : ModelTensors(config, dtype)) {
      std::vector<float> values(static_cast<size_t>(tensor.numel()));
      ASSERT_TRUE(ReadPlace(tensor.name, 0, tensor.numel(), values).ok());
      EXPECT_EQ(*files->weights().Read(tensor.name), values) << tensor.name;
      EXPECT_EQ(files->weights().Find(tensor.name)->dtype,
                tensor.shape.size() == 1 ? DType::kF32 : dtype)
          << tensor.name;
    }
    EXPECT_EQ(files->chat_template(), "{{ messages }}");
  }
}

INSTANTIATE_TEST_SUITE_P(, Families,
                         testing::Values(Family{"llama", "LlamaForCausalLM"},
                                         Family{"qwen2", "Qwen2ForCausalLM"},
                                         Family{"qwen3", "Qwen3ForCausalLM"}),
                         [](const auto& info) { return std::string(info.param.model_type); });

TEST(GgufExport, TheTokenizerIsReadAsItWasGiven) {
  const GgufModel model{SmallConfig(), "small", SmallVocabulary(), ""};
  const fs::path file = EmptyFolder("out") / "small.gguf";
  ASSERT_TRUE(WriteGgufModel(file, model, DType::kF32, ReadPlace).ok());
  const auto files = ModelFiles::Open(file);
  ASSERT_TRUE(files.ok()) << files.status();
  const GgufTokenizer& read = files->gguf_tokenizer().value();
  const GgufTokenizer& given = *model.tokenizer;
  EXPECT_EQ(read.model, given.model);
  EXPECT_EQ(read.pre, given.pre);
  EXPECT_EQ(read.tokens, given.tokens);
  EXPECT_EQ(read.token_types, given.token_types);
  EXPECT_EQ(read.merges, given.merges);
  EXPECT_EQ(read.bos_id, 1);
  EXPECT_EQ(read.eos_id, 2);
  EXPECT_EQ(read.pad_id, 0);
  EXPECT_EQ(read.unk_id, 5);
  EXPECT_EQ(read.add_bos, true);
  EXPECT_EQ(read.add_eos, std::nullopt);
  EXPECT_EQ(files->chat_template(), std::nullopt);
  const auto gguf = Gguf::Open(file);
  EXPECT_EQ((*gguf)->FindInt("tokenizer.ggml.eot_token_id")->value(), 4);
  EXPECT_EQ((*gguf)->FindInt("tokenizer.ggml.eom_token_id")->value(), 3);
}

TEST(GgufExport, QuantisedMatricesAreWithinHalfAStepAndOddRowsAreF16) {
  GgufModel model{SmallConfig(), "small", std::nullopt, ""};
  model.config.intermediate_size = 40;  // down_proj's rows are no whole blocks
  const fs::path file = EmptyFolder("out") / "small.gguf";
  ASSERT_TRUE(WriteGgufModel(file, model, DType::kQ8_0, ReadPlace).ok());
  const auto gguf = Gguf::Open(file);
  ASSERT_TRUE(gguf.ok()) << gguf.status();
  EXPECT_EQ((*gguf)->FindInt("general.file_type")->value(), 7);
  const auto type = [&](const char* name) { return (*gguf)->Find(name)->dtype; };
  EXPECT_EQ(type("token_embd.weight"), DType::kQ8_0);
  EXPECT_EQ(type("output.weight"), DType::kQ8_0);
  EXPECT_EQ(type("blk.1.attn_q.weight"), DType::kQ8_0);
  EXPECT_EQ(type("blk.1.ffn_up.weight"), DType::kQ8_0);
  EXPECT_EQ(type("blk.1.ffn_down.weight"), DType::kF16);
  EXPECT_EQ(type("blk.1.attn_norm.weight"), DType::kF32);
  const auto files = ModelFiles::Open(file);
  ASSERT_TRUE(files.ok()) << files.status();
  for (const TensorInfo& tensor : ModelTensors(model.config, DType::kF32)) {
    std::vector<float> values(static_cast<size_t>(tensor.numel()));
    ASSERT_TRUE(ReadPlace(tensor.name, 0, tensor.numel(), values).ok());
    const std::vector<float> read = *files->weights().Read(tensor.name);
    for (size_t i = 0; i < values.size(); ++i) {
      // The largest is 250/64; the scale itself is rounded to 11 bits.
      ASSERT_NEAR(read[i], values[i], 250.0 / 64 / 127 * 0.5 + 250.0 / 64 / 2048) << tensor.name;
    }
  }
}

std::string ErrorOf(const GgufModel& model, const ReadParameter& read = ReadPlace) {
  const fs::path folder = EmptyFolder("out");
  const absl::Status status = WriteGgufModel(folder / "small.gguf", model, DType::kBF16, read);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(fs::is_empty(folder));
  return std::string(status.message());
}

TEST(GgufExport, WhatAGgufCantExpressIsNamed) {
  const GgufModel whole{SmallConfig(), "small", SmallVocabulary(), ""};
  GgufModel model = whole;
  model.config.model_type = "mistral";
  EXPECT_THAT(ErrorOf(model), AllOf(HasSubstr("small.gguf: a model of type mistral"),
                                    HasSubstr("of type llama, qwen2 or qwen3")));
  model = whole;
  model.config.max_position_embeddings = int64_t{1} << 33;
  EXPECT_THAT(ErrorOf(model), HasSubstr("context_length is 8589934592"));
  model = whole;
  model.config.eos_token_ids = {0, 1, 2, 3};
  EXPECT_THAT(ErrorOf(model), HasSubstr("4 tokens end an answer, a GGUF names 3"));
  model = whole;
  model.config.pad_token_id = 6;
  EXPECT_THAT(ErrorOf(model), HasSubstr("the padding token has the id 6, expected 0 to 5"));
  model = whole;
  model.tokenizer->tokens.pop_back();
  EXPECT_THAT(ErrorOf(model), HasSubstr("the tokenizer has 5 tokens"));
}

TEST(GgufExport, AReaderThatFailsLeavesNothing) {
  const GgufModel model{SmallConfig(), "small", SmallVocabulary(), ""};
  int left = 7;
  EXPECT_EQ(
      ErrorOf(model,
              [&](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
                return left-- > 0 ? ReadPlace(name, begin, end, values)
                                  : absl::DataLossError("a broken disk");
              }),
      "a broken disk");
}

}  // namespace
}  // namespace tanren::formats
