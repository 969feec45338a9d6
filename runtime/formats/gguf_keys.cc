#include "runtime/formats/gguf_keys.h"

#include <iterator>
#include <limits>
#include <optional>

#include "runtime/base/error.h"
#include "runtime/formats/model_family.h"

namespace tanren::formats {
namespace {

constexpr uint32_t kQuantizationVersion = 2;  // GGML_QNT_VERSION

// llama_ftype of llama.h.
uint32_t FileType(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 1;
    case DType::kQ8_0:
      return 7;
    case DType::kBF16:
      return 32;
    default:
      return 0;
  }
}

}  // namespace

absl::StatusOr<GgufMetadata> GgufKeysOf(const ModelConfig& config, std::string_view name,
                                        DType dtype) {
  const ModelFamily* family = FamilyOfModelType(config.model_type);
  if (family == nullptr || family->gguf.empty()) {
    return absl::UnimplementedError(
        fmt::format("a model of type {} can't be written as a GGUF; of type {} it can",
                    config.model_type, KnownGgufArchitectures()));
  }
  GgufMetadata metadata = {{"general.architecture", std::string(family->gguf)},
                           {"general.type", "model"},
                           {"general.name", std::string(name)}};
  const auto add = [&](std::string_view key, GgufField value) {
    metadata.emplace_back(fmt::format("{}.{}", family->gguf, key), std::move(value));
  };
  const struct {
    std::string_view key;
    int64_t value;
  } sizes[] = {{"vocab_size", config.vocab_size},
               {"context_length", config.max_position_embeddings},
               {"embedding_length", config.hidden_size},
               {"block_count", config.num_hidden_layers},
               {"feed_forward_length", config.intermediate_size},
               {"attention.head_count", config.num_attention_heads},
               {"attention.head_count_kv", config.num_key_value_heads},
               {"attention.key_length", config.head_dim},
               {"attention.value_length", config.head_dim},
               {"rope.dimension_count", config.head_dim}};
  for (const auto& [key, value] : sizes) {
    if (value < 0 || value > std::numeric_limits<uint32_t>::max()) {
      return absl::InvalidArgumentError(
          fmt::format("{} is {}, more than a GGUF's 32 bits hold", key, value));
    }
    add(key, static_cast<uint32_t>(value));
  }
  add("attention.layer_norm_rms_epsilon", static_cast<float>(config.rms_norm_eps));
  add("rope.freq_base", static_cast<float>(config.rope_theta));
  if (config.rope_scaling.kind == RopeScaling::Kind::kLinear) {
    add("rope.scaling.type", "linear");
    add("rope.scaling.factor", static_cast<float>(config.rope_scaling.factor));
  }
  metadata.emplace_back("general.file_type", FileType(dtype));
  metadata.emplace_back("general.quantization_version", kQuantizationVersion);
  return metadata;
}

absl::Status AppendTokenizerKeys(const ModelConfig& config, const GgufTokenizer& tokenizer,
                                 std::string_view chat_template, GgufMetadata* metadata) {
  const auto add = [&](std::string_view key, GgufField value) {
    metadata->emplace_back(fmt::format("tokenizer.ggml.{}", key), std::move(value));
  };
  if (static_cast<int64_t>(tokenizer.tokens.size()) != config.vocab_size ||
      tokenizer.token_types.size() != tokenizer.tokens.size()) {
    return absl::InvalidArgumentError(
        fmt::format("the tokenizer has {} tokens and {} types, the model a vocabulary of {}",
                    tokenizer.tokens.size(), tokenizer.token_types.size(), config.vocab_size));
  }
  add("model", tokenizer.model);
  add("pre", tokenizer.pre);
  add("tokens", tokenizer.tokens);
  add("token_type", tokenizer.token_types);
  add("merges", tokenizer.merges);

  constexpr const char* kEnds[] = {"eos", "eot", "eom"};
  if (config.eos_token_ids.size() > std::size(kEnds)) {
    return absl::InvalidArgumentError(fmt::format("{} tokens end an answer, a GGUF names {}",
                                                  config.eos_token_ids.size(), std::size(kEnds)));
  }
  std::vector<std::pair<std::string_view, std::optional<int64_t>>> ids = {
      {"bos", config.bos_token_id}};
  for (size_t i = 0; i < config.eos_token_ids.size(); ++i) {
    ids.emplace_back(kEnds[i], config.eos_token_ids[i]);
  }
  ids.emplace_back("padding", config.pad_token_id);
  ids.emplace_back("unknown", tokenizer.unk_id);
  for (const auto& [role, id] : ids) {
    if (!id) continue;
    if (*id < 0 || *id >= config.vocab_size) {
      return absl::InvalidArgumentError(fmt::format("the {} token has the id {}, expected 0 to {}",
                                                    role, *id, config.vocab_size - 1));
    }
    add(fmt::format("{}_token_id", role), static_cast<uint32_t>(*id));
  }
  if (tokenizer.add_bos) add("add_bos_token", *tokenizer.add_bos);
  if (tokenizer.add_eos) add("add_eos_token", *tokenizer.add_eos);
  if (!chat_template.empty()) {
    metadata->emplace_back("tokenizer.chat_template", std::string(chat_template));
  }
  return absl::OkStatus();
}

}  // namespace tanren::formats
