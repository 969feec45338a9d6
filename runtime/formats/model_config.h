// What a model is, in Hugging Face's terms (config.json).
#ifndef TANREN_RUNTIME_FORMATS_MODEL_CONFIG_H_
#define TANREN_RUNTIME_FORMATS_MODEL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/formats/gguf.h"
#include "runtime/formats/weights.h"

namespace tanren::formats {

// How rotary frequencies are stretched for long texts.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1.0;
  // For kLlama3 only.
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  int64_t original_max_position_embeddings = 8192;
};

struct ModelConfig {
  // "LlamaForCausalLM" and "llama", or another family's; see model_family.h.
  std::string architecture = "LlamaForCausalLM";
  std::string model_type = "llama";
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  bool attention_bias = false;         // of the query, key and value projections
  bool attention_output_bias = false;  // of the output projection: Llama's follows attention_bias
  bool mlp_bias = false;
  bool query_key_norm = false;  // RMSNorm of each head's queries and keys, before rotation
  std::optional<int64_t> bos_token_id;
  std::vector<int64_t> eos_token_ids;
  std::optional<int64_t> pad_token_id;
  double initializer_range = 0.02;
  std::string hidden_act = "silu";      // the only one there is
  std::string torch_dtype = "float32";  // float32, bfloat16 or float16: how the weights are stored
};

// Reads config.json, as transformers 4 writes it (rope_theta, rope_scaling) and as 5 does
// (rope_parameters). Absent keys mean what transformers takes them for. A key that isn't known, or
// a value that isn't supported, is an error that names it, unless it is null, false or empty.
// `where` is the file, for errors.
absl::StatusOr<ModelConfig> ModelConfigFromJson(std::string_view text, std::string_view where);

// From the metadata and the tensors of a GGUF file.
absl::StatusOr<ModelConfig> ModelConfigFromGguf(const Gguf& gguf);

// A config.json that transformers 4 and 5 load.
std::string ToJson(const ModelConfig& config);

// The parameters of the model with Hugging Face's names and shapes, in the order of its layers, all
// of dtype `dtype`. lm_head.weight is there only where embeddings aren't tied.
std::vector<TensorInfo> ModelTensors(const ModelConfig& config, DType dtype);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_MODEL_CONFIG_H_
