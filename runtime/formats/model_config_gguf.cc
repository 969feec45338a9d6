#include <cmath>
#include <numbers>

#include "runtime/base/error.h"
#include "runtime/formats/model_config.h"
#include "runtime/formats/model_config_check.h"

namespace tanren::formats {
namespace {

absl::Status Invalid(const Gguf& gguf, std::string_view message) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", gguf.where(), message));
}

absl::StatusOr<int64_t> RequiredInt(const Gguf& gguf, std::string_view key) {
  TANREN_ASSIGN_OR_RETURN(const std::optional<int64_t> value, gguf.FindInt(key));
  if (!value) return Invalid(gguf, fmt::format("the key {} is missing", key));
  return *value;
}

absl::StatusOr<int64_t> IntOr(const Gguf& gguf, std::string_view key, int64_t otherwise) {
  TANREN_ASSIGN_OR_RETURN(const std::optional<int64_t> value, gguf.FindInt(key));
  return value.value_or(otherwise);
}

absl::Status ReadSizes(const Gguf& gguf, ModelConfig& config) {
  TANREN_ASSIGN_OR_RETURN(config.hidden_size, RequiredInt(gguf, "llama.embedding_length"));
  TANREN_ASSIGN_OR_RETURN(config.intermediate_size, RequiredInt(gguf, "llama.feed_forward_length"));
  TANREN_ASSIGN_OR_RETURN(config.num_hidden_layers, RequiredInt(gguf, "llama.block_count"));
  TANREN_ASSIGN_OR_RETURN(config.max_position_embeddings,
                          RequiredInt(gguf, "llama.context_length"));
  TANREN_ASSIGN_OR_RETURN(config.num_attention_heads,
                          RequiredInt(gguf, "llama.attention.head_count"));
  TANREN_ASSIGN_OR_RETURN(config.num_key_value_heads,
                          IntOr(gguf, "llama.attention.head_count_kv", config.num_attention_heads));

  TANREN_ASSIGN_OR_RETURN(const std::optional<int64_t> key_length,
                          gguf.FindInt("llama.attention.key_length"));
  if (key_length) {
    config.head_dim = *key_length;
  } else if (config.num_attention_heads > 0 &&
             config.hidden_size % config.num_attention_heads == 0) {
    config.head_dim = config.hidden_size / config.num_attention_heads;
  } else {
    return Invalid(gguf, fmt::format("llama.embedding_length {} can't be split over "
                                     "llama.attention.head_count {}",
                                     config.hidden_size, config.num_attention_heads));
  }
  for (const char* key : {"llama.attention.value_length", "llama.rope.dimension_count"}) {
    TANREN_ASSIGN_OR_RETURN(const int64_t length, IntOr(gguf, key, config.head_dim));
    if (length != config.head_dim) {
      return Invalid(gguf, fmt::format("{} is {}, expected the head dimension, {}", key, length,
                                       config.head_dim));
    }
  }
  const TensorInfo* embedding = gguf.Find("token_embd.weight");
  if (embedding == nullptr) return Invalid(gguf, "the tensor token_embd.weight is missing");
  config.vocab_size = embedding->shape[0];
  return absl::OkStatus();
}

// What Llama's graph in llama.cpp can do beyond what is supported here.
absl::Status RefuseUnsupported(const Gguf& gguf) {
  for (const char* key : {"llama.expert_count", "llama.expert_used_count",
                          "llama.attention.sliding_window", "llama.pooling_type"}) {
    TANREN_ASSIGN_OR_RETURN(const int64_t value, IntOr(gguf, key, 0));
    if (value != 0)
      return Invalid(gguf, fmt::format("{} is {}, which isn't supported", key, value));
  }
  const struct {
    const char* key;
    double neutral;
  } numbers[] = {{"llama.attention.scale", 0},         {"llama.embedding_scale", 1},
                 {"llama.residual_scale", 1},          {"llama.logit_scale", 1},
                 {"llama.attention.clamp_kqv", 0},     {"llama.attention.max_alibi_bias", 0},
                 {"llama.rope.scaling.attn_factor", 1}};
  for (const auto& [key, neutral] : numbers) {
    TANREN_ASSIGN_OR_RETURN(const std::optional<double> value, gguf.FindNumber(key));
    if (value.value_or(neutral) != neutral) {
      return Invalid(gguf, fmt::format("{} is {}, which isn't supported", key, *value));
    }
  }
  TANREN_ASSIGN_OR_RETURN(const std::optional<bool> causal,
                          gguf.FindBool("llama.attention.causal"));
  if (!causal.value_or(true)) return Invalid(gguf, "llama.attention.causal is false");
  return absl::OkStatus();
}

// By how much Llama 3.1's scaling divides the frequency of dimension pair `pair`.
double Llama3Divisor(const RopeScaling& scaling, double theta, int64_t pair, int64_t head_dim) {
  const double exponent = 2.0 * static_cast<double>(pair) / static_cast<double>(head_dim);
  const double wavelength = 2.0 * std::numbers::pi * std::pow(theta, exponent);
  const auto context = static_cast<double>(scaling.original_max_position_embeddings);
  if (wavelength < context / scaling.high_freq_factor) return 1.0;
  if (wavelength > context / scaling.low_freq_factor) return scaling.factor;
  const double smooth = (context / wavelength - scaling.low_freq_factor) /
                        (scaling.high_freq_factor - scaling.low_freq_factor);
  return 1.0 / ((1.0 - smooth) / scaling.factor + smooth);
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

absl::Status ReadRope(const Gguf& gguf, ModelConfig& config) {
  TANREN_ASSIGN_OR_RETURN(const std::optional<double> theta,
                          gguf.FindNumber("llama.rope.freq_base"));
  config.rope_theta = theta.value_or(10000.0);
  TANREN_ASSIGN_OR_RETURN(const std::optional<std::string> kind,
                          gguf.FindString("llama.rope.scaling.type"));
  TANREN_ASSIGN_OR_RETURN(std::optional<double> factor,
                          gguf.FindNumber("llama.rope.scaling.factor"));
  if (!factor) {
    TANREN_ASSIGN_OR_RETURN(factor, gguf.FindNumber("llama.rope.scale_linear"));
  }
  const bool none = kind == "none" || (!kind && factor.value_or(1.0) == 1.0);
  if (!none) {
    if (kind.value_or("linear") != "linear") {
      return Invalid(gguf,
                     fmt::format("llama.rope.scaling.type is {}, expected none or linear", *kind));
    }
    config.rope_scaling.kind = RopeScaling::Kind::kLinear;
    config.rope_scaling.factor = factor.value_or(1.0);
    if (gguf.Find("rope_freqs.weight") != nullptr) {
      return Invalid(gguf, "found both linear rope scaling and rope_freqs.weight");
    }
  }
  return ReadRopeFrequencies(gguf, config);
}

absl::Status ReadTokenIds(const Gguf& gguf, ModelConfig& config) {
  TANREN_ASSIGN_OR_RETURN(config.bos_token_id, gguf.FindInt("tokenizer.ggml.bos_token_id"));
  TANREN_ASSIGN_OR_RETURN(config.pad_token_id, gguf.FindInt("tokenizer.ggml.padding_token_id"));
  // A model may end its turn with another token than its text.
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
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
  if (architecture != "llama") {
    return Invalid(gguf, fmt::format("general.architecture is {}, expected llama",
                                     architecture.value_or("missing")));
  }
  ModelConfig config;
  TANREN_RETURN_IF_ERROR(RefuseUnsupported(gguf));
  TANREN_RETURN_IF_ERROR(ReadSizes(gguf, config));
  TANREN_ASSIGN_OR_RETURN(const std::optional<double> epsilon,
                          gguf.FindNumber("llama.attention.layer_norm_rms_epsilon"));
  if (!epsilon) return Invalid(gguf, "the key llama.attention.layer_norm_rms_epsilon is missing");
  config.rms_norm_eps = *epsilon;
  config.tie_word_embeddings = gguf.Find("output.weight") == nullptr;
  config.attention_bias = gguf.Find("blk.0.attn_q.bias") != nullptr;
  config.attention_output_bias = gguf.Find("blk.0.attn_output.bias") != nullptr;
  if (config.attention_bias != config.attention_output_bias) {
    return Invalid(gguf,
                   "found a bias in one of blk.0.attn_q and blk.0.attn_output, expected it in "
                   "both or none");
  }
  config.mlp_bias = gguf.Find("blk.0.ffn_gate.bias") != nullptr;
  TANREN_RETURN_IF_ERROR(ReadTokenIds(gguf, config));
  TANREN_RETURN_IF_ERROR(ReadRope(gguf, config));
  TANREN_RETURN_IF_ERROR(CheckSizes(config, gguf.where()));
  return config;
}

}  // namespace tanren::formats
