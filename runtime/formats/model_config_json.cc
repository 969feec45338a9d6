#include <algorithm>
#include <iterator>

#include "runtime/base/error.h"
#include "runtime/formats/json.h"
#include "runtime/formats/json_fields.h"
#include "runtime/formats/model_config.h"
#include "runtime/formats/model_config_check.h"
#include "runtime/formats/model_family.h"

namespace tanren::formats {
namespace {

using AttentionBias = ModelFamily::AttentionBias;
using Window = ModelFamily::Window;

// Keys that don't change what the model computes: defaults of generation, notes of tools. Also
// those that begin with an underscore.
constexpr std::string_view kIgnored[] = {"transformers_version",
                                         "transformers.js_config",
                                         "transformers_weights",
                                         "use_cache",
                                         "pretraining_tp",
                                         "is_llama_config",
                                         "unsloth_version",
                                         "unsloth_fixed",
                                         "tokenizer_class",
                                         "attn_implementation",
                                         "return_dict",
                                         "output_attentions",
                                         "output_hidden_states",
                                         "output_scores",
                                         "return_dict_in_generate",
                                         "torchscript",
                                         "use_bfloat16",
                                         "chunk_size_feed_forward",
                                         "id2label",
                                         "label2id",
                                         "problem_type",
                                         "finetuning_task",
                                         "task_specific_params",
                                         "prefix",
                                         "sep_token_id",
                                         "decoder_start_token_id",
                                         "tf_legacy_loss",
                                         "max_length",
                                         "min_length",
                                         "do_sample",
                                         "temperature",
                                         "top_k",
                                         "top_p",
                                         "typical_p",
                                         "repetition_penalty",
                                         "length_penalty",
                                         "diversity_penalty",
                                         "num_beams",
                                         "num_beam_groups",
                                         "num_return_sequences",
                                         "no_repeat_ngram_size",
                                         "early_stopping",
                                         "remove_invalid_values",
                                         "training_args"};

void RefuseUnknown(const JsonFields& fields) {
  for (const std::string& key : fields.Unasked()) {
    if (key.starts_with('_') ||
        std::find(std::begin(kIgnored), std::end(kIgnored), key) != std::end(kIgnored)) {
      continue;
    }
    fields.Fail(key, "isn't known here, and might change what the model computes");
  }
}

const ModelFamily& ReadFamily(JsonFields& fields, ModelConfig& config) {
  const std::optional<std::string> model_type = fields.String("model_type");
  if (!model_type) fields.Fail("model_type", "is missing");
  const ModelFamily* family = FamilyOfModelType(*model_type);
  if (family == nullptr) {
    fields.Fail("model_type", fmt::format("found {}, expected {}", *model_type, KnownModelTypes()));
  }
  config.model_type = family->model_type;
  config.architecture = family->architecture;
  const auto architectures = fields.Strings("architectures");
  if (architectures && !architectures->empty() && architectures->front() != family->architecture) {
    fields.Fail("architectures",
                fmt::format("found {}, expected {} for model_type {}", architectures->front(),
                            family->architecture, *model_type));
  }
  return *family;
}

void ReadSizes(JsonFields& fields, const ModelFamily& family, ModelConfig& config) {
  config.hidden_size = fields.RequiredInt("hidden_size");
  config.intermediate_size = fields.RequiredInt("intermediate_size");
  config.num_hidden_layers = fields.RequiredInt("num_hidden_layers");
  config.num_attention_heads = fields.RequiredInt("num_attention_heads");
  config.vocab_size = fields.RequiredInt("vocab_size");
  const bool defaults = family.sizes_have_defaults;
  config.num_key_value_heads =
      defaults ? fields.Int("num_key_value_heads").value_or(config.num_attention_heads)
               : fields.RequiredInt("num_key_value_heads");
  config.max_position_embeddings = defaults ? fields.Int("max_position_embeddings").value_or(2048)
                                            : fields.RequiredInt("max_position_embeddings");
  if (!family.head_dim_follows_hidden) {
    config.head_dim = fields.RequiredInt("head_dim");
  } else if (const std::optional<int64_t> head_dim = fields.Int("head_dim")) {
    config.head_dim = *head_dim;
  } else if (config.num_attention_heads > 0 &&
             config.hidden_size % config.num_attention_heads == 0) {
    config.head_dim = config.hidden_size / config.num_attention_heads;
  } else {
    fields.Fail("hidden_size", fmt::format("{} can't be split over num_attention_heads, {}",
                                           config.hidden_size, config.num_attention_heads));
  }
}

void ReadBiases(JsonFields& fields, const ModelFamily& family, ModelConfig& config) {
  switch (family.attention_bias) {
    case AttentionBias::kNone:
      break;
    case AttentionBias::kQueryKeyValue:
      config.attention_bias = true;
      break;
    case AttentionBias::kSetting:
      config.attention_bias = fields.Bool("attention_bias").value_or(false);
      config.attention_output_bias = config.attention_bias;
      break;
  }
  if (family.mlp_bias_is_setting) config.mlp_bias = fields.Bool("mlp_bias").value_or(false);
}

// A window that no text is longer than is none, and so is one that begins above the last layer.
void RefuseSlidingWindow(JsonFields& fields, const ModelFamily& family, const ModelConfig& config) {
  const bool given = fields.Has("sliding_window");
  std::optional<int64_t> window = fields.Int("sliding_window");
  if (!given && family.window != Window::kNone) window = 4096;
  const bool used =
      fields.Bool("use_sliding_window").value_or(family.window == Window::kEveryLayer);
  const int64_t upper = fields.Int("max_window_layers").value_or(28);
  const int64_t first = family.window == Window::kUpperLayers ? upper : 0;
  if (used && window && *window < config.max_position_embeddings &&
      first < config.num_hidden_layers) {
    fields.Fail(
        "sliding_window",
        fmt::format("is {} in layers {} to {}, below max_position_embeddings, {}: windows "
                    "aren't supported",
                    *window, first, config.num_hidden_layers - 1, config.max_position_embeddings));
  }
  for (const std::string& type :
       fields.Strings("layer_types").value_or(std::vector<std::string>())) {
    if (type != "full_attention") {
      fields.Fail("layer_types", fmt::format("found {}, expected full_attention", type));
    }
  }
}

void RefusePartialRotation(JsonFields& fields) {
  if (fields.Number("partial_rotary_factor").value_or(1.0) != 1.0) {
    fields.Fail("partial_rotary_factor", "only 1 is supported");
  }
}

double RequiredNumber(JsonFields& fields, std::string_view key) {
  const std::optional<double> value = fields.Number(key);
  if (!value) fields.Fail(key, "is missing");
  return *value;
}

RopeScaling ReadScaling(JsonFields& fields) {
  RopeScaling scaling;
  std::optional<std::string> kind = fields.String("rope_type");
  if (const auto old_name = fields.String("type"); !kind) kind = old_name;
  // Asked for whatever the kind: some are written for kinds that ignore them.
  const std::optional<double> factor = fields.Number("factor");
  bool has_more = false;
  for (const char* key :
       {"low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    if (fields.Has(key)) has_more = true;
  }
  RefusePartialRotation(fields);
  if (!kind && (factor || has_more)) fields.Fail("rope_type", "is missing");
  if (!kind || kind == "default") return scaling;
  if (kind != "linear" && kind != "llama3") {
    fields.Fail("rope_type", fmt::format("found {}, expected default, linear or llama3", *kind));
  }
  scaling.kind = kind == "linear" ? RopeScaling::Kind::kLinear : RopeScaling::Kind::kLlama3;
  scaling.factor = RequiredNumber(fields, "factor");
  if (kind == "llama3") {
    scaling.low_freq_factor = RequiredNumber(fields, "low_freq_factor");
    scaling.high_freq_factor = RequiredNumber(fields, "high_freq_factor");
    scaling.original_max_position_embeddings =
        fields.RequiredInt("original_max_position_embeddings");
    if (!(scaling.low_freq_factor > 0) || !(scaling.high_freq_factor > scaling.low_freq_factor) ||
        scaling.original_max_position_embeddings < 1) {
      fields.Fail("low_freq_factor",
                  "expected 0 < low_freq_factor < high_freq_factor, and a "
                  "positive original_max_position_embeddings");
    }
  }
  return scaling;
}

// transformers 4 has rope_theta and rope_scaling, 5 both in rope_parameters, which it still reads
// from the old places.
void ReadRope(JsonFields& fields, ModelConfig& config) {
  RefusePartialRotation(fields);
  std::optional<double> theta = fields.Number("rope_theta");
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    std::optional<JsonFields> rope = fields.Object(key);
    if (!rope) continue;
    if (const std::optional<double> inner = rope->Number("rope_theta")) {
      if (theta && *theta != *inner) {
        rope->Fail("rope_theta", fmt::format("found {} here and {} elsewhere", *inner, *theta));
      }
      theta = inner;
    }
    const RopeScaling scaling = ReadScaling(*rope);
    RefuseUnknown(*rope);
    if (scaling.kind == RopeScaling::Kind::kNone) continue;
    if (config.rope_scaling.kind != RopeScaling::Kind::kNone) {
      fields.Fail(key, "rope_scaling and rope_parameters both scale");
    }
    config.rope_scaling = scaling;
  }
  config.rope_theta = theta.value_or(10000.0);
}

void ReadTokenIds(JsonFields& fields, const ModelFamily& family, ModelConfig& config) {
  const bool defaults = family.ids_have_defaults;
  config.bos_token_id = fields.Int("bos_token_id");
  if (!fields.Has("bos_token_id") && defaults) config.bos_token_id = 1;
  config.eos_token_ids = fields.Ints("eos_token_id").value_or(std::vector<int64_t>());
  if (!fields.Has("eos_token_id") && defaults) config.eos_token_ids = {2};
  config.pad_token_id = fields.Int("pad_token_id");
}

void ReadDtype(JsonFields& fields, ModelConfig& config) {
  for (const char* key : {"torch_dtype", "dtype"}) {
    const std::optional<std::string> dtype = fields.String(key);
    if (!dtype) continue;
    if (dtype != "float32" && dtype != "bfloat16" && dtype != "float16") {
      fields.Fail(key, fmt::format("found {}, expected float32, bfloat16 or float16", *dtype));
    }
    config.torch_dtype = *dtype;
  }
}

ModelConfig ReadConfig(JsonFields fields) {
  ModelConfig config;
  const ModelFamily& family = ReadFamily(fields, config);
  ReadSizes(fields, family, config);
  ReadBiases(fields, family, config);
  config.query_key_norm = family.query_key_norm;
  RefuseSlidingWindow(fields, family, config);
  ReadRope(fields, config);
  ReadTokenIds(fields, family, config);
  ReadDtype(fields, config);
  config.rms_norm_eps = fields.Number("rms_norm_eps").value_or(1e-6);
  config.initializer_range = fields.Number("initializer_range").value_or(0.02);
  config.tie_word_embeddings = fields.Bool("tie_word_embeddings").value_or(false);
  config.hidden_act = fields.String("hidden_act").value_or("silu");
  if (config.hidden_act != "silu") {
    fields.Fail("hidden_act", fmt::format("found {}, expected silu", config.hidden_act));
  }
  RefuseUnknown(fields);
  return config;
}

nlohmann::ordered_json ScalingJson(const RopeScaling& scaling) {
  nlohmann::ordered_json json;
  if (scaling.kind == RopeScaling::Kind::kNone) return json;
  const bool llama3 = scaling.kind == RopeScaling::Kind::kLlama3;
  json["rope_type"] = llama3 ? "llama3" : "linear";
  json["factor"] = scaling.factor;
  if (llama3) {
    json["low_freq_factor"] = scaling.low_freq_factor;
    json["high_freq_factor"] = scaling.high_freq_factor;
    json["original_max_position_embeddings"] = scaling.original_max_position_embeddings;
  }
  return json;
}

}  // namespace

absl::StatusOr<ModelConfig> ModelConfigFromJson(std::string_view text, std::string_view where) {
  TANREN_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(text, where));
  try {
    ModelConfig config = ReadConfig(JsonFields(json, std::string(where)));
    TANREN_RETURN_IF_ERROR(CheckSizes(config, where));
    return config;
  } catch (const Error& error) {
    return error.status();
  }
}

std::string ToJson(const ModelConfig& config) {
  const ModelFamily* family = FamilyOfModelType(config.model_type);
  TANREN_CHECK(family != nullptr, "there is no model type '{}'", config.model_type);
  nlohmann::ordered_json json;
  json["architectures"] = {config.architecture};
  json["model_type"] = config.model_type;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  json["vocab_size"] = config.vocab_size;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["rope_theta"] = config.rope_theta;
  json["rope_scaling"] = ScalingJson(config.rope_scaling);
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  if (family->attention_bias == AttentionBias::kSetting) {
    json["attention_bias"] = config.attention_bias;
  }
  if (family->mlp_bias_is_setting) json["mlp_bias"] = config.mlp_bias;
  if (family->window != Window::kNone) json["sliding_window"] = nullptr;
  if (family->window == Window::kUpperLayers) json["use_sliding_window"] = false;
  json["hidden_act"] = config.hidden_act;
  json["initializer_range"] = config.initializer_range;
  const auto optional_id = [](const std::optional<int64_t>& id) {
    return id ? nlohmann::ordered_json(*id) : nlohmann::ordered_json();
  };
  json["bos_token_id"] = optional_id(config.bos_token_id);
  json["eos_token_id"] = nullptr;
  if (config.eos_token_ids.size() == 1) json["eos_token_id"] = config.eos_token_ids[0];
  if (config.eos_token_ids.size() > 1) json["eos_token_id"] = config.eos_token_ids;
  json["pad_token_id"] = optional_id(config.pad_token_id);
  json["torch_dtype"] = config.torch_dtype;
  json["use_cache"] = true;
  return json.dump(2) + "\n";
}

}  // namespace tanren::formats
