#include "runtime/formats/model_files.h"

#include <cstring>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/formats/safetensors_writer.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string ErrorOf(const fs::path& path) {
  const auto files = ModelFiles::Open(path);
  EXPECT_FALSE(files.ok()) << path;
  return std::string(files.status().message());
}

fs::path CopyOfLlama() {
  const fs::path folder = EmptyFolder("llama");
  fs::copy(GoldenPath("llama"), folder, fs::copy_options::recursive);
  return folder;
}

class ModelFilesOfFamily : public testing::TestWithParam<const char*> {};

TEST_P(ModelFilesOfFamily, AGgufAndADirectoryOfTheSameModelAreTheSame) {
  const fs::path path = fs::path("tests/golden") / GetParam();
  const auto directory = ModelFiles::Open(path);
  const auto gguf = ModelFiles::Open(path.string() + ".gguf");
  ASSERT_TRUE(directory.ok()) << directory.status();
  ASSERT_TRUE(gguf.ok()) << gguf.status();
  // The one thing that the GGUFs of these models don't tell.
  ModelConfig expected = directory->config();
  expected.initializer_range = gguf->config().initializer_range;
  EXPECT_EQ(ToJson(gguf->config()), ToJson(expected));
  EXPECT_EQ(gguf->weights().tensors().size(), directory->weights().tensors().size());
  for (const TensorInfo& tensor : directory->weights().tensors()) {
    ASSERT_NE(gguf->weights().Find(tensor.name), nullptr) << tensor.name;
    EXPECT_EQ(gguf->weights().Find(tensor.name)->shape, tensor.shape);
    EXPECT_EQ(*gguf->weights().Read(tensor.name), *directory->weights().Read(tensor.name))
        << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(, ModelFilesOfFamily,
                         testing::Values("formats/llama", "qwen/qwen2_tied", "qwen/qwen3"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(name.find('/') + 1);
                         });

TEST(ModelFiles, AnyRangeOfPermutedRowsIsThatPartOfTheWhole) {
  const auto gguf = ModelFiles::Open(GoldenPath("llama.gguf"));
  ASSERT_TRUE(gguf.ok()) << gguf.status();
  for (const char* name :
       {"model.layers.1.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight"}) {
    const std::vector<float> whole = *gguf->weights().Read(name);
    const auto size = static_cast<int64_t>(whole.size());
    for (int64_t begin = 0; begin < size; begin += 37) {
      const int64_t end = std::min(size, begin + 101);
      std::vector<float> part(static_cast<size_t>(end - begin));
      ASSERT_TRUE(gguf->weights().Read(name, begin, end, part).ok());
      EXPECT_EQ(part, std::vector<float>(whole.begin() + begin, whole.begin() + end));
    }
  }
}

TEST(ModelFiles, SmolLM2IsReadAsThePeersReadIt) {
  const auto files = ModelFiles::Open(TANREN_TEST_MODEL);
  ASSERT_TRUE(files.ok()) << files.status();
  const ModelConfig& config = files->config();
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.hidden_size, 576);
  EXPECT_EQ(config.intermediate_size, 1536);
  EXPECT_EQ(config.num_hidden_layers, 30);
  EXPECT_EQ(config.num_attention_heads, 9);
  EXPECT_EQ(config.num_key_value_heads, 3);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.vocab_size, 49152);
  EXPECT_EQ(config.max_position_embeddings, 8192);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.rope_theta, 100000.0);
  EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::kNone);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2));

  const nlohmann::json golden = GoldenJson("smollm2.json");
  EXPECT_EQ(files->weights().tensors().size(), golden.size());
  for (const auto& [name, expected] : golden.items()) {
    const TensorInfo* info = files->weights().Find(name);
    ASSERT_NE(info, nullptr) << name;
    EXPECT_EQ(info->shape, expected["shape"].get<std::vector<int64_t>>());
    const std::vector<float> values = *files->weights().Read(name);
    double sum = 0;
    for (const float value : values) sum += value;
    EXPECT_NEAR(sum, expected["sum"].get<double>(), 1e-7 * static_cast<double>(values.size()));
    const std::vector<float> samples = Floats(expected["bits"]);
    for (size_t i = 0; i < samples.size(); ++i) {
      EXPECT_EQ(values[expected["places"][i].get<size_t>()], samples[i]) << name << " " << i;
    }
  }
}

TEST(ModelFiles, SmolLM2BringsItsTokenizer) {
  const auto files = ModelFiles::Open(TANREN_TEST_MODEL);
  ASSERT_TRUE(files.ok()) << files.status();
  const GgufTokenizer& tokenizer = files->gguf_tokenizer().value();
  EXPECT_EQ(tokenizer.model, "gpt2");
  EXPECT_EQ(tokenizer.pre, "smollm");
  EXPECT_EQ(tokenizer.tokens.size(), 49152u);
  EXPECT_EQ(tokenizer.tokens[1], "<|im_start|>");
  EXPECT_EQ(tokenizer.token_types.size(), 49152u);
  EXPECT_EQ(tokenizer.token_types[1], 3);
  EXPECT_EQ(tokenizer.merges.size(), 48900u);
  EXPECT_EQ(tokenizer.merges[0], "Ġ t");
  EXPECT_EQ(tokenizer.bos_id, 1);
  EXPECT_EQ(tokenizer.eos_id, 2);
  EXPECT_EQ(tokenizer.pad_id, 2);
  EXPECT_EQ(tokenizer.unk_id, 0);
  EXPECT_EQ(tokenizer.add_bos, false);
  EXPECT_EQ(tokenizer.add_eos, std::nullopt);
  EXPECT_THAT(files->chat_template().value(), HasSubstr("{% for message in messages %}"));
  EXPECT_EQ(files->tokenizer_json(), std::nullopt);
}

TEST(ModelFiles, ThreadsReadAtOnce) {
  const auto files = ModelFiles::Open(GoldenPath("llama.gguf"));
  ASSERT_TRUE(files.ok()) << files.status();
  const char* name = "model.layers.0.self_attn.q_proj.weight";
  const std::vector<float> expected = *files->weights().Read(name);
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> threads;
  for (std::vector<float>& values : found) {
    threads.emplace_back([&] { values = *files->weights().Read(name); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(found, testing::Each(expected));
}

TEST(ModelFiles, TheChatTemplateIsFoundInEachPlace) {
  const fs::path folder = CopyOfLlama();
  EXPECT_EQ(ModelFiles::Open(folder)->chat_template(), std::nullopt);
  WriteFile(folder / "tokenizer_config.json", R"({"chat_template":"text"})");
  EXPECT_EQ(ModelFiles::Open(folder)->chat_template(), "text");
  WriteFile(folder / "tokenizer_config.json",
            R"({"chat_template":[{"name":"tool_use","template":"a"},
                                 {"name":"default","template":"b"}]})");
  EXPECT_EQ(ModelFiles::Open(folder)->chat_template(), "b");
  WriteFile(folder / "chat_template.jinja", "file");
  EXPECT_EQ(ModelFiles::Open(folder)->chat_template(), "file");
  EXPECT_EQ(ModelFiles::Open(GoldenPath("llama.gguf"))->chat_template(),
            "{{ messages[0].content }}");
  fs::remove(folder / "chat_template.jinja");
  WriteFile(folder / "tokenizer_config.json", R"({"chat_template":[{"name":"default"}]})");
  EXPECT_THAT(ErrorOf(folder),
              AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("chat_template")));
}

TEST(ModelFiles, TheSmallFilesAreTexts) {
  const fs::path folder = CopyOfLlama();
  WriteFile(folder / "tokenizer.json", "{\"any\": 1}");
  const auto files = ModelFiles::Open(folder);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->tokenizer_json(), "{\"any\": 1}");
  EXPECT_EQ(files->tokenizer_config_json(), std::nullopt);
  EXPECT_THAT(files->generation_config_json().value(), HasSubstr("eos_token_id"));
  EXPECT_EQ(files->gguf_tokenizer(), std::nullopt);
}

TEST(ModelFiles, WhatIsMissingIsNamedWithItsPlace) {
  EXPECT_THAT(ErrorOf("/no/such/model"), HasSubstr("/no/such/model: there is no such file"));
  const fs::path folder = CopyOfLlama();
  EXPECT_THAT(ErrorOf(folder / "config.json"), HasSubstr("expected a Hugging Face directory"));
  fs::rename(folder / "config.json", folder / "kept.json");
  EXPECT_THAT(ErrorOf(folder), AllOf(HasSubstr(folder.string()), HasSubstr("no config.json")));
  fs::rename(folder / "kept.json", folder / "config.json");
  fs::remove(folder / "model-00002-of-00004.safetensors");
  EXPECT_THAT(ErrorOf(folder), HasSubstr("model-00002-of-00004.safetensors"));
  fs::remove(folder / "model.safetensors.index.json");
  EXPECT_THAT(ErrorOf(folder), AllOf(HasSubstr(folder.string()), HasSubstr("neither")));
}

// Saves zeros for these tensors beside the config of the golden model.
std::string ErrorWithTensors(const std::vector<TensorInfo>& tensors) {
  const fs::path folder = EmptyFolder("tensors");
  fs::copy(GoldenPath("llama/config.json"), folder);
  auto writer = SafetensorsWriter::CreateInDirectory(folder, tensors);
  EXPECT_TRUE(writer.ok()) << writer.status();
  for (const TensorInfo& tensor : tensors) {
    const std::vector<float> zeros(static_cast<size_t>(tensor.numel()));
    EXPECT_TRUE((*writer)->Write(tensor.name, 0, zeros).ok());
  }
  EXPECT_TRUE((*writer)->Finish().ok());
  const auto files = ModelFiles::Open(folder);
  return std::string(files.status().message());
}

TEST(ModelFiles, TensorsMustBeThoseOfTheConfig) {
  const std::vector<TensorInfo> all =
      ModelTensors(ModelFiles::Open(GoldenPath("llama"))->config(), DType::kBF16);
  EXPECT_EQ(ErrorWithTensors(all), "");
  std::vector<TensorInfo> tensors = all;
  tensors.pop_back();
  EXPECT_THAT(ErrorWithTensors(tensors), HasSubstr("lm_head.weight is missing"));
  tensors = all;
  tensors[1].shape = {31};
  EXPECT_THAT(ErrorWithTensors(tensors),
              HasSubstr("model.layers.0.input_layernorm.weight: found BF16 [31], expected [32]"));
  tensors = all;
  tensors.push_back({"model.layers.0.self_attn.q_norm.weight", DType::kF32, {8}});
  EXPECT_THAT(ErrorWithTensors(tensors), HasSubstr("q_norm.weight has no place"));
  tensors.back().name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  EXPECT_EQ(ErrorWithTensors(tensors), "");
}

TEST(ModelFiles, AGgufOfQwen2WithoutABiasIsAnError) {
  std::string bytes = FileContent("tests/golden/qwen/qwen2_tied.gguf");
  bytes.replace(bytes.find("blk.1.attn_k.bias"), 17, "blk.1.ffn_up.bias");
  EXPECT_THAT(ErrorOf(WriteFile(EmptyFolder("changed") / "model.gguf", bytes)),
              HasSubstr("model.layers.1.self_attn.k_proj.bias is missing"));
}

TEST(ModelFiles, AGgufOfNoKnownFamilyIsAnError) {
  EXPECT_THAT(ErrorOf(GoldenPath("dtypes.gguf")),
              HasSubstr("general.architecture is test, expected llama, qwen2 or qwen3"));
  // The same key, with another name of the same length.
  std::string bytes = FileContent(GoldenPath("llama.gguf"));
  const auto replaced = [&](std::string_view from, std::string_view to) {
    std::string changed = bytes;
    changed.replace(changed.find(from), from.size(), to);
    return ErrorOf(WriteFile(EmptyFolder("changed") / "model.gguf", changed));
  };
  EXPECT_THAT(replaced("llama.block_count", "llama.block_xxxxx"),
              HasSubstr("llama.block_count is missing"));
  EXPECT_THAT(replaced("blk.1.ffn_up", "blk.1.ffn_ab"), HasSubstr("no tensor blk.1.ffn_ab.weight"));
  EXPECT_THAT(replaced("output_norm", "blk.9.attn_"), HasSubstr("blk.9.attn_.weight"));
  EXPECT_THAT(replaced("llama.context_length", "llama.expert_count  "),
              HasSubstr("llama.context_length is missing"));
}

TEST(ModelFiles, RopeFrequenciesThatNoKnownScalingGivesAreAnError) {
  std::string bytes = FileContent(GoldenPath("llama.gguf"));
  // rope_freqs.weight is the last tensor: four numbers, padded to 32 bytes.
  const float changed = 1.25f;
  std::memcpy(bytes.data() + bytes.size() - 32 + 4, &changed, sizeof(changed));
  EXPECT_THAT(ErrorOf(WriteFile(EmptyFolder("changed") / "model.gguf", bytes)),
              HasSubstr("rope_freqs.weight: number 1 is 1.25"));
}

}  // namespace
}  // namespace tanren::formats
