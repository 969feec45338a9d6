#include "runtime/formats/model_config.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// SmolLM2-135M-Instruct's config.json, as transformers 4 wrote it.
constexpr const char* kTransformers4 = R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576,
  "initializer_range": 0.041666666666666664, "intermediate_size": 1536, "is_llama_config": true,
  "max_position_embeddings": 8192, "mlp_bias": false, "model_type": "llama",
  "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3, "pad_token_id": 2,
  "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null,
  "rope_theta": 100000, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
  "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}},
  "transformers_version": "4.42.3", "use_cache": true, "vocab_size": 49152})";

// The smallest config, with `more` members; null members take others away.
std::string Config(std::string_view more) {
  nlohmann::json json = nlohmann::json::parse(
      R"({"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,
          "num_attention_heads":2,"vocab_size":11})");
  json.merge_patch(nlohmann::json::parse(more));
  return json.dump();
}
absl::StatusOr<ModelConfig> Read(std::string_view more) {
  return ModelConfigFromJson(Config(more), "config.json");
}
std::string ErrorOf(std::string_view more) {
  const auto config = Read(more);
  EXPECT_FALSE(config.ok()) << more;
  return std::string(config.status().message());
}

TEST(ModelConfig, ReadsWhatTransformers4Writes) {
  const auto config = ModelConfigFromJson(kTransformers4, "config.json");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->architecture, "LlamaForCausalLM");
  EXPECT_EQ(config->hidden_size, 576);
  EXPECT_EQ(config->intermediate_size, 1536);
  EXPECT_EQ(config->num_hidden_layers, 30);
  EXPECT_EQ(config->num_attention_heads, 9);
  EXPECT_EQ(config->num_key_value_heads, 3);
  EXPECT_EQ(config->head_dim, 64);
  EXPECT_EQ(config->vocab_size, 49152);
  EXPECT_EQ(config->max_position_embeddings, 8192);
  EXPECT_EQ(config->rms_norm_eps, 1e-5);
  EXPECT_EQ(config->rope_theta, 100000.0);
  EXPECT_EQ(config->rope_scaling.kind, RopeScaling::Kind::kNone);
  EXPECT_TRUE(config->tie_word_embeddings);
  EXPECT_FALSE(config->attention_bias);
  EXPECT_EQ(config->bos_token_id, 1);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(2));
  EXPECT_EQ(config->pad_token_id, 2);
  EXPECT_EQ(config->initializer_range, 1.0 / 24);
  EXPECT_EQ(config->torch_dtype, "bfloat16");
}

TEST(ModelConfig, ReadsWhatTransformers5Writes) {
  const auto config =
      ModelConfigFromJson(FileContent(GoldenPath("llama/config.json")), "config.json");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->rope_theta, 500000.0);
  EXPECT_EQ(config->rope_scaling.kind, RopeScaling::Kind::kLlama3);
  EXPECT_EQ(config->rope_scaling.factor, 4.0);
  EXPECT_EQ(config->rope_scaling.original_max_position_embeddings, 8192);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(2, 3));
  EXPECT_EQ(config->torch_dtype, "float32");
  EXPECT_EQ(config->head_dim, 8);
}

TEST(ModelConfig, AbsentKeysMeanWhatTransformersTakesThemFor) {
  const auto config = Read("{}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->num_key_value_heads, 2);
  EXPECT_EQ(config->head_dim, 4);
  EXPECT_EQ(config->max_position_embeddings, 2048);
  EXPECT_EQ(config->rms_norm_eps, 1e-6);
  EXPECT_EQ(config->rope_theta, 10000.0);
  EXPECT_FALSE(config->tie_word_embeddings);
  EXPECT_EQ(config->bos_token_id, 1);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(2));
  EXPECT_EQ(config->pad_token_id, std::nullopt);
}

TEST(ModelConfig, WhatIsWrittenIsReadAsTheSame) {
  for (const char* more :
       {"{}", R"({"rope_scaling":{"type":"linear","factor":2.5},"eos_token_id":[1,2,3]})",
        R"({"rope_parameters":{"rope_type":"llama3","rope_theta":5e5,"factor":32,
            "low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}})",
        R"({"attention_bias":true,"mlp_bias":true,"head_dim":6,"tie_word_embeddings":true})",
        R"({"model_type":"mistral","num_key_value_heads":1,"max_position_embeddings":64})",
        R"({"model_type":"qwen2","num_key_value_heads":1,"max_position_embeddings":64})",
        R"({"model_type":"qwen3","num_key_value_heads":1,"max_position_embeddings":64,
            "head_dim":10,"attention_bias":true})"}) {
    const auto config = Read(more);
    ASSERT_TRUE(config.ok()) << config.status();
    const std::string text = ToJson(*config);
    const auto again = ModelConfigFromJson(text, "again");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(ToJson(*again), text);
    EXPECT_EQ(again->rope_scaling.factor, config->rope_scaling.factor);
    EXPECT_EQ(again->rope_scaling.kind, config->rope_scaling.kind);
    EXPECT_EQ(again->eos_token_ids, config->eos_token_ids);
    EXPECT_EQ(again->attention_bias, config->attention_bias);
    EXPECT_EQ(again->architecture, config->architecture);
    EXPECT_EQ(again->query_key_norm, config->query_key_norm);
    EXPECT_EQ(ModelTensors(*again, DType::kF32).size(), ModelTensors(*config, DType::kF32).size());
  }
}

TEST(ModelConfig, UnknownKeysThatSaySomethingAreErrors) {
  EXPECT_THAT(ErrorOf(R"({"rope_interleaved":true})"),
              AllOf(HasSubstr("config.json"), HasSubstr("rope_interleaved")));
  EXPECT_THAT(ErrorOf(R"({"quantization_config":{"bits":4}})"), HasSubstr("quantization_config"));
  EXPECT_THAT(ErrorOf(R"({"attention_dropout":0.1})"), HasSubstr("attention_dropout"));
  EXPECT_THAT(ErrorOf(R"({"logit_scale":0.5})"), HasSubstr("logit_scale"));
  EXPECT_THAT(ErrorOf(R"({"rope_scaling":{"rope_type":"linear","factor":2,"mscale":1}})"),
              HasSubstr("rope_scaling: mscale"));
  EXPECT_TRUE(Read(R"({"rope_interleaved":false,"attention_dropout":0,"new_list":[]})").ok());
  EXPECT_TRUE(Read(R"({"transformers_version":"9","temperature":0.7,"_name_or_path":"x"})").ok());
}

TEST(ModelConfig, UnsupportedValuesAreErrorsThatNameTheKey) {
  EXPECT_THAT(ErrorOf(R"({"model_type":"gpt2"})"), HasSubstr("model_type: found gpt2"));
  EXPECT_THAT(ErrorOf(R"({"architectures":["LlamaForSequenceClassification"]})"),
              HasSubstr("architectures: found LlamaForSequenceClassification"));
  EXPECT_THAT(ErrorOf(R"({"hidden_act":"gelu"})"), HasSubstr("hidden_act: found gelu"));
  EXPECT_THAT(ErrorOf(R"({"torch_dtype":"float8"})"), HasSubstr("torch_dtype: found float8"));
  EXPECT_THAT(ErrorOf(R"({"rope_scaling":{"type":"dynamic","factor":2}})"),
              HasSubstr("rope_type: found dynamic"));
  EXPECT_THAT(ErrorOf(R"({"rope_scaling":{"factor":2}})"), HasSubstr("rope_type: is missing"));
  EXPECT_THAT(ErrorOf(R"({"rope_scaling":{"rope_type":"llama3","factor":2}})"),
              HasSubstr("low_freq_factor: is missing"));
  EXPECT_THAT(ErrorOf(R"({"partial_rotary_factor":0.5})"), HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(ErrorOf(R"({"rope_theta":1e4,"rope_parameters":{"rope_theta":1e5}})"),
              HasSubstr("rope_theta: found 100000"));
  EXPECT_THAT(ErrorOf(R"({"model_type":"mistral","num_key_value_heads":1,"sliding_window":4096,
                          "max_position_embeddings":32768})"),
              HasSubstr("sliding_window: is 4096"));
  EXPECT_THAT(ErrorOf(R"({"layer_types":["sliding_attention"]})"), HasSubstr("layer_types"));
}

// Qwen2.5-0.5B-Instruct's config.json.
TEST(ModelConfig, ASlidingWindowThatIsSwitchedOffIsNone) {
  const auto config = ModelConfigFromJson(R"({
    "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02,
    "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 21,
    "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "sliding_window": 4096, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    "transformers_version": "4.43.1", "use_cache": true, "use_sliding_window": false,
    "vocab_size": 151936})",
                                          "config.json");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->architecture, "Qwen2ForCausalLM");
  EXPECT_EQ(config->head_dim, 64);
  EXPECT_EQ(config->rope_theta, 1e6);
  EXPECT_TRUE(config->attention_bias);
  EXPECT_FALSE(config->attention_output_bias);
  EXPECT_FALSE(config->query_key_norm);
}

TEST(ModelConfig, ASlidingWindowThatLayersUseIsAnErrorThatNamesThem) {
  const auto qwen = [](std::string_view more) {
    nlohmann::json json = nlohmann::json::parse(R"({"model_type":"qwen2","num_key_value_heads":1,
        "max_position_embeddings":9000,"num_hidden_layers":4,"use_sliding_window":true})");
    json.merge_patch(nlohmann::json::parse(more));
    return json.dump();
  };
  EXPECT_THAT(ErrorOf(qwen(R"({"sliding_window":512,"max_window_layers":2})")),
              HasSubstr("sliding_window: is 512 in layers 2 to 3, below max_position_embeddings"));
  // What transformers takes for absent: 4096.
  EXPECT_THAT(ErrorOf(qwen(R"({"max_window_layers":0})")), HasSubstr("is 4096 in layers 0 to 3"));
  EXPECT_TRUE(Read(qwen(R"({"sliding_window":512,"max_window_layers":4})")).ok());
  EXPECT_TRUE(Read(qwen(R"({"sliding_window":512})")).ok());  // from layer 28 on
  EXPECT_TRUE(Read(qwen(R"({"sliding_window":9000,"max_window_layers":2})")).ok());
  EXPECT_TRUE(Read(qwen(R"({"sliding_window":512,"max_window_layers":2,
                            "use_sliding_window":false})"))
                  .ok());
}

TEST(ModelConfig, Qwen3sHeadsHaveTheirOwnSize) {
  const std::string qwen3 =
      R"({"model_type":"qwen3","num_key_value_heads":1,"max_position_embeddings":64})";
  // transformers takes 128 for an absent one, whatever the hidden size.
  EXPECT_THAT(ErrorOf(qwen3), HasSubstr("head_dim: is missing"));
  nlohmann::json json = nlohmann::json::parse(qwen3);
  json["head_dim"] = 10;
  const auto config = Read(json.dump());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->head_dim, 10);
  EXPECT_TRUE(config->query_key_norm);
  for (const TensorInfo& tensor : ModelTensors(*config, DType::kF32)) {
    if (tensor.name.ends_with("self_attn.q_proj.weight")) {
      EXPECT_THAT(tensor.shape, ElementsAre(20, 8));
    }
    if (tensor.name.ends_with("_norm.weight") && tensor.name.find("self_attn") < 99) {
      EXPECT_THAT(tensor.shape, ElementsAre(10));
    }
  }
}

TEST(ModelConfig, WrongSizesAreErrorsThatNameTheKey) {
  EXPECT_THAT(ErrorOf(R"({"hidden_size":null})"), HasSubstr("hidden_size: is missing"));
  EXPECT_THAT(ErrorOf(R"({"hidden_size":"8"})"), HasSubstr("hidden_size: found \"8\""));
  EXPECT_THAT(ErrorOf(R"({"hidden_size":8.5})"), HasSubstr("expected an integer"));
  EXPECT_THAT(ErrorOf(R"({"hidden_size":9})"), HasSubstr("can't be split"));
  EXPECT_THAT(ErrorOf(R"({"num_attention_heads":0})"), HasSubstr("num_attention_heads"));
  EXPECT_THAT(ErrorOf(R"({"num_key_value_heads":0})"), HasSubstr("num_key_value_heads is 0"));
  EXPECT_THAT(ErrorOf(R"({"num_attention_heads":4,"num_key_value_heads":3})"),
              HasSubstr("no multiple"));
  EXPECT_THAT(ErrorOf(R"({"head_dim":3})"), HasSubstr("head_dim is 3"));
  EXPECT_THAT(ErrorOf(R"({"num_hidden_layers":1000000})"), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(ErrorOf(R"({"vocab_size":18446744073709551615})"), HasSubstr("vocab_size"));
  EXPECT_THAT(ErrorOf(R"({"rope_theta":-1})"), HasSubstr("rope_theta -1"));
  EXPECT_FALSE(ModelConfigFromJson("{", "config.json").ok());
  EXPECT_FALSE(ModelConfigFromJson("[1]", "config.json").ok());
}

TEST(ModelConfig, BiasesAreParametersWhereTheFamilyHasThem) {
  const auto names = [](std::string_view more) {
    std::vector<std::string> found;
    for (const TensorInfo& tensor : ModelTensors(*Read(more), DType::kBF16)) {
      if (tensor.name.ends_with(".bias")) found.push_back(tensor.name.substr(15));
    }
    return found;
  };
  EXPECT_THAT(names("{}"), ElementsAre());
  EXPECT_THAT(names(R"({"attention_bias":true})"),
              ElementsAre("self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias",
                          "self_attn.o_proj.bias"));
  EXPECT_THAT(
      names(R"({"model_type":"qwen2","num_key_value_heads":1,"max_position_embeddings":9})"),
      ElementsAre("self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"));
  EXPECT_THAT(names(R"({"mlp_bias":true})"),
              ElementsAre("mlp.gate_proj.bias", "mlp.up_proj.bias", "mlp.down_proj.bias"));
}

}  // namespace
}  // namespace tanren::formats
