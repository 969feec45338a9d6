#include <cmath>

#include "runtime/base/error.h"
#include "runtime/formats/model_config.h"
#include "runtime/formats/model_config_check.h"
#include "runtime/formats/model_family.h"
#include "runtime/formats/rope_scaling.h"

namespace tanren::formats {
namespace {

absl::Status Invalid(const Gguf& gguf, std::string_view message) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", gguf.where(), message));
}

// The metadata of one architecture, which is the prefix of its keys: "qwen3.block_count".
class ArchitectureKeys {
 public:
  ArchitectureKeys(const Gguf& gguf, std::string_view architecture)
      : gguf_(gguf), architecture_(architecture) {}

  const Gguf& gguf() const { return gguf_; }
  std::string Key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }

  absl::StatusOr<int64_t> RequiredInt(std::string_view name) const {
    TANREN_ASSIGN_OR_RETURN(const std::optional<int64_t> value, gguf_.FindInt(Key(name)));
    if (!value) return Invalid(gguf_, fmt::format("the key {} is missing", Key(name)));
    return *value;
  }
  absl::StatusOr<int64_t> IntOr(std::string_view name, int64_t otherwise) const {
    TANREN_ASSIGN_OR_RETURN(const std::optional<int64_t> value, gguf_.FindInt(Key(name)));
    return value.value_or(otherwise);
  }
  absl::StatusOr<std::optional<double>> FindNumber(std::string_view name) const {
    return gguf_.FindNumber(Key(name));
  }

 private:
  const Gguf& gguf_;
  std::string architecture_;
};

absl::Status ReadSizes(const ArchitectureKeys& keys, ModelConfig& config) {
  const Gguf& gguf = keys.gguf();
  TANREN_ASSIGN_OR_RETURN(config.hidden_size, keys.RequiredInt("embedding_length"));
  TANREN_ASSIGN_OR_RETURN(config.intermediate_size, keys.RequiredInt("feed_forward_length"));
  TANREN_ASSIGN_OR_RETURN(config.num_hidden_layers, keys.RequiredInt("block_count"));
  TANREN_ASSIGN_OR_RETURN(config.max_position_embeddings, keys.RequiredInt("context_length"));
  TANREN_ASSIGN_OR_RETURN(config.num_attention_heads, keys.RequiredInt("attention.head_count"));
  TANREN_ASSIGN_OR_RETURN(config.num_key_value_heads,
                          keys.IntOr("attention.head_count_kv", config.num_attention_heads));

  TANREN_ASSIGN_OR_RETURN(const std::optional<int64_t> key_length,
                          gguf.FindInt(keys.Key("attention.key_length")));
  if (key_length) {
    config.head_dim = *key_length;
  } else if (config.num_attention_heads > 0 &&
             config.hidden_size % config.num_attention_heads == 0) {
    config.head_dim = config.hidden_size / config.num_attention_heads;
  } else {
    return Invalid(gguf, fmt::format("{} {} can't be split over {} {}",
                                     keys.Key("embedding_length"), config.hidden_size,
                                     keys.Key("attention.head_count"), config.num_attention_heads));
  }
  for (const char* name : {"attention.value_length", "rope.dimension_count"}) {
    TANREN_ASSIGN_OR_RETURN(const int64_t length, keys.IntOr(name, config.head_dim));
    if (length != config.head_dim) {
      return Invalid(gguf, fmt::format("{} is {}, expected the head dimension, {}", keys.Key(name),
                                       length, config.head_dim));
    }
  }
  const TensorInfo* embedding = gguf.Find("token_embd.weight");
  if (embedding == nullptr) return Invalid(gguf, "the tensor token_embd.weight is missing");
  config.vocab_size = embedding->shape[0];
  // Before anything is computed from them.
  return CheckSizes(config, gguf.where());
}

// What llama.cpp's graphs can do beyond what is supported here.
absl::Status RefuseUnsupported(const ArchitectureKeys& keys) {
  const Gguf& gguf = keys.gguf();
  for (const char* name :
       {"expert_count", "expert_used_count", "attention.sliding_window", "pooling_type"}) {
    TANREN_ASSIGN_OR_RETURN(const int64_t value, keys.IntOr(name, 0));
    if (value != 0) {
      return Invalid(gguf, fmt::format("{} is {}, which isn't supported", keys.Key(name), value));
    }
  }
  const struct {
    const char* name;
    double neutral;
  } numbers[] = {{"attention.scale", 0},         {"embedding_scale", 1},
                 {"residual_scale", 1},          {"logit_scale", 1},
                 {"attention.clamp_kqv", 0},     {"attention.max_alibi_bias", 0},
                 {"rope.scaling.attn_factor", 1}};
  for (const auto& [name, neutral] : numbers) {
    TANREN_ASSIGN_OR_RETURN(const std::optional<double> value, keys.FindNumber(name));
    if (value.value_or(neutral) != neutral) {
      return Invalid(gguf, fmt::format("{} is {}, which isn't supported", keys.Key(name), *value));
    }
  }
  TANREN_ASSIGN_OR_RETURN(const std::optional<bool> causal,
                          gguf.FindBool(keys.Key("attention.causal")));
  if (!causal.value_or(true)) {
    return Invalid(gguf, fmt::format("{} is false", keys.Key("attention.causal")));
  }
  return absl::OkStatus();
}

// A GGUF keeps Llama 3.1's scaling as its result alone, one divisor for each pair. All published
// models have the same three parameters and differ in the factor, which is the last divisor: so
// they are assumed, and the assumption is checked.
absl::Status ReadRopeFrequencies(const Gguf& gguf, ModelConfig& config) {
  if (gguf.Find("rope_freqs.weight") == nullptr) return absl::OkStatus();
  TANREN_ASSIGN_OR_RETURN(const std::vector<float> divisors, gguf.Read("rope_freqs.weight"));
  if (static_cast<int64_t>(divisors.size()) != config.head_dim / 2) {
    return Invalid(gguf, fmt::format("rope_freqs.weight: found {} numbers, expected {}",
                                     divisors.size(), config.head_dim / 2));
  }
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::kLlama3;
  const double last = divisors.back();
  const bool whole = std::abs(last - std::round(last)) <= 1e-5 * last;  // but for rounding
  scaling.factor = whole ? std::round(last) : last;
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double expected =
        Llama3Divisor(scaling, config.rope_theta, static_cast<int64_t>(i), config.head_dim);
    if (!(std::abs(divisors[i] - expected) <= 1e-3 * expected)) {
      return Invalid(gguf, fmt::format("rope_freqs.weight: number {} is {}, where Llama 3.1's rope "
                                       "scaling by {} has {}",
                                       i, divisors[i], scaling.factor, expected));
    }
  }
  config.rope_scaling = scaling;
  return absl::OkStatus();
}

absl::Status ReadRope(const ArchitectureKeys& keys, ModelConfig& config) {
  const Gguf& gguf = keys.gguf();
  TANREN_ASSIGN_OR_RETURN(const std::optional<double> theta, keys.FindNumber("rope.freq_base"));
  config.rope_theta = theta.value_or(10000.0);
  TANREN_ASSIGN_OR_RETURN(const std::optional<std::string> kind,
                          gguf.FindString(keys.Key("rope.scaling.type")));
  TANREN_ASSIGN_OR_RETURN(std::optional<double> factor, keys.FindNumber("rope.scaling.factor"));
  if (!factor) {
    TANREN_ASSIGN_OR_RETURN(factor, keys.FindNumber("rope.scale_linear"));
  }
  const bool none = kind == "none" || (!kind && factor.value_or(1.0) == 1.0);
  if (!none) {
    if (kind.value_or("linear") != "linear") {
      return Invalid(gguf, fmt::format("{} is {}, expected none or linear",
                                       keys.Key("rope.scaling.type"), *kind));
    }
    config.rope_scaling.kind = RopeScaling::Kind::kLinear;
    config.rope_scaling.factor = factor.value_or(1.0);
    if (gguf.Find("rope_freqs.weight") != nullptr) {
      return Invalid(gguf, "found both linear rope scaling and rope_freqs.weight");
    }
  }
  return ReadRopeFrequencies(gguf, config);
}

// Where they are a setting, the file says so by having them.
absl::Status ReadBiases(const Gguf& gguf, const ModelFamily& family, ModelConfig& config) {
  using AttentionBias = ModelFamily::AttentionBias;
  config.attention_bias = family.attention_bias == AttentionBias::kQueryKeyValue;
  if (family.attention_bias == AttentionBias::kSetting) {
    config.attention_bias = gguf.Find("blk.0.attn_q.bias") != nullptr;
    config.attention_output_bias = gguf.Find("blk.0.attn_output.bias") != nullptr;
    if (config.attention_bias != config.attention_output_bias) {
      return Invalid(gguf,
                     "found a bias in one of blk.0.attn_q and blk.0.attn_output, expected it in "
                     "both or none");
    }
  }
  config.mlp_bias = family.mlp_bias_is_setting && gguf.Find("blk.0.ffn_gate.bias") != nullptr;
  return absl::OkStatus();
}

absl::Status ReadTokenIds(const Gguf& gguf, ModelConfig& config) {
  TANREN_ASSIGN_OR_RETURN(config.bos_token_id, gguf.FindInt("tokenizer.ggml.bos_token_id"));
  TANREN_ASSIGN_OR_RETURN(config.pad_token_id, gguf.FindInt("tokenizer.ggml.padding_token_id"));
  // A model may end its turn, or a message in it, with another token than its text.
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    TANREN_ASSIGN_OR_RETURN(const std::optional<int64_t> id, gguf.FindInt(key));
    if (id && (config.eos_token_ids.empty() || config.eos_token_ids[0] != *id)) {
      config.eos_token_ids.push_back(*id);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ModelConfigFromGguf(const Gguf& gguf) {
  TANREN_ASSIGN_OR_RETURN(const std::optional<std::string> architecture,
                          gguf.FindString("general.architecture"));
  const ModelFamily* family = FamilyOfGguf(architecture.value_or(""));
  if (family == nullptr) {
    return Invalid(gguf, fmt::format("general.architecture is {}, expected {}",
                                     architecture.value_or("missing"), KnownGgufArchitectures()));
  }
  const ArchitectureKeys keys(gguf, family->gguf);
  ModelConfig config;
  config.architecture = family->architecture;
  config.model_type = family->model_type;
  config.query_key_norm = family->query_key_norm;
  TANREN_RETURN_IF_ERROR(RefuseUnsupported(keys));
  TANREN_RETURN_IF_ERROR(ReadSizes(keys, config));
  TANREN_ASSIGN_OR_RETURN(const std::optional<double> epsilon,
                          keys.FindNumber("attention.layer_norm_rms_epsilon"));
  if (!epsilon) {
    return Invalid(
        gguf, fmt::format("the key {} is missing", keys.Key("attention.layer_norm_rms_epsilon")));
  }
  config.rms_norm_eps = *epsilon;
  config.tie_word_embeddings = gguf.Find("output.weight") == nullptr;
  TANREN_RETURN_IF_ERROR(ReadBiases(gguf, *family, config));
  TANREN_RETURN_IF_ERROR(ReadTokenIds(gguf, config));
  TANREN_RETURN_IF_ERROR(ReadRope(keys, config));
  TANREN_RETURN_IF_ERROR(CheckSizes(config, gguf.where()));
  return config;
}

}  // namespace tanren::formats
