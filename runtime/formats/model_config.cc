#include "runtime/formats/model_config.h"

#include "runtime/base/error.h"
#include "runtime/formats/model_config_check.h"

namespace tanren::formats {

absl::Status CheckSizes(const ModelConfig& config, std::string_view where) {
  // The limits keep products of two sizes far from overflow; no model comes near them.
  const struct {
    std::string_view name;
    int64_t value;
    int64_t limit;
  } sizes[] = {
      {"hidden_size", config.hidden_size, 1 << 24},
      {"intermediate_size", config.intermediate_size, 1 << 24},
      {"num_hidden_layers", config.num_hidden_layers, 1 << 14},
      {"num_attention_heads", config.num_attention_heads, 1 << 14},
      {"num_key_value_heads", config.num_key_value_heads, 1 << 14},
      {"head_dim", config.head_dim, 1 << 14},
      {"vocab_size", config.vocab_size, 1 << 28},
      {"max_position_embeddings", config.max_position_embeddings, int64_t{1} << 40},
  };
  for (const auto& size : sizes) {
    if (size.value < 1 || size.value > size.limit) {
      return absl::InvalidArgumentError(
          fmt::format("{}: {} is {}, expected 1 to {}", where, size.name, size.value, size.limit));
    }
  }
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: num_attention_heads is {}, no multiple of num_key_value_heads, {}", where,
                    config.num_attention_heads, config.num_key_value_heads));
  }
  if (config.head_dim % 2 != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: head_dim is {}, expected an even number", where, config.head_dim));
  }
  if (!(config.rms_norm_eps >= 0) || !(config.rope_theta > 0) ||
      !(config.rope_scaling.factor > 0)) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: rms_norm_eps is {}, rope_theta {}, the factor of rope scaling {}: expected positive "
        "numbers",
        where, config.rms_norm_eps, config.rope_theta, config.rope_scaling.factor));
  }
  return absl::OkStatus();
}

std::vector<TensorInfo> ModelTensors(const ModelConfig& config, DType dtype) {
  std::vector<TensorInfo> tensors;
  const int64_t hidden = config.hidden_size;
  const int64_t inner = config.intermediate_size;
  const int64_t queries = config.num_attention_heads * config.head_dim;
  const int64_t keys = config.num_key_value_heads * config.head_dim;
  const auto add = [&](std::string name, std::vector<int64_t> shape) {
    tensors.push_back({std::move(name), dtype, std::move(shape)});
  };
  const auto add_linear = [&](const std::string& name, int64_t rows, int64_t columns, bool bias) {
    add(name + ".weight", {rows, columns});
    if (bias) add(name + ".bias", {rows});
  };
  add("model.embed_tokens.weight", {config.vocab_size, hidden});
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    add(layer + "input_layernorm.weight", {hidden});
    add_linear(layer + "self_attn.q_proj", queries, hidden, config.attention_bias);
    add_linear(layer + "self_attn.k_proj", keys, hidden, config.attention_bias);
    add_linear(layer + "self_attn.v_proj", keys, hidden, config.attention_bias);
    add_linear(layer + "self_attn.o_proj", hidden, queries, config.attention_output_bias);
    if (config.query_key_norm) {
      add(layer + "self_attn.q_norm.weight", {config.head_dim});
      add(layer + "self_attn.k_norm.weight", {config.head_dim});
    }
    add(layer + "post_attention_layernorm.weight", {hidden});
    add_linear(layer + "mlp.gate_proj", inner, hidden, config.mlp_bias);
    add_linear(layer + "mlp.up_proj", inner, hidden, config.mlp_bias);
    add_linear(layer + "mlp.down_proj", hidden, inner, config.mlp_bias);
  }
  add("model.norm.weight", {hidden});
  if (!config.tie_word_embeddings) add("lm_head.weight", {config.vocab_size, hidden});
  return tensors;
}

}  // namespace tanren::formats
