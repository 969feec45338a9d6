#include "runtime/formats/model_family.h"

#include <vector>

namespace tanren::formats {
namespace {

using AttentionBias = ModelFamily::AttentionBias;
using Window = ModelFamily::Window;

constexpr ModelFamily kFamilies[] = {
    {.model_type = "llama",  // Llama 2 and 3.x, SmolLM2
     .architecture = "LlamaForCausalLM",
     .gguf = "llama",
     .gguf_interleaves_heads = true,
     .attention_bias = AttentionBias::kSetting,
     .mlp_bias_is_setting = true,
     .sizes_have_defaults = true,
     .ids_have_defaults = true},
    {.model_type = "mistral",
     .architecture = "MistralForCausalLM",
     .window = Window::kEveryLayer,
     .ids_have_defaults = true},
    {.model_type = "qwen2",  // and Qwen 2.5
     .architecture = "Qwen2ForCausalLM",
     .gguf = "qwen2",
     .attention_bias = AttentionBias::kQueryKeyValue,
     .window = Window::kUpperLayers},
    {.model_type = "qwen3",
     .architecture = "Qwen3ForCausalLM",
     .gguf = "qwen3",
     .attention_bias = AttentionBias::kSetting,
     .query_key_norm = true,
     .window = Window::kUpperLayers,
     .head_dim_follows_hidden = false},
};

const ModelFamily* Find(std::string_view ModelFamily::*key, std::string_view value) {
  for (const ModelFamily& family : kFamilies) {
    if (!value.empty() && family.*key == value) return &family;
  }
  return nullptr;
}

// "a, b or c"
std::string Listed(std::string_view ModelFamily::*key) {
  std::vector<std::string_view> names;
  for (const ModelFamily& family : kFamilies) {
    if (!(family.*key).empty()) names.push_back(family.*key);
  }
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace

const ModelFamily* FamilyOfModelType(std::string_view model_type) {
  return Find(&ModelFamily::model_type, model_type);
}

const ModelFamily* FamilyOfGguf(std::string_view general_architecture) {
  return Find(&ModelFamily::gguf, general_architecture);
}

std::string KnownModelTypes() { return Listed(&ModelFamily::model_type); }

std::string KnownGgufArchitectures() { return Listed(&ModelFamily::gguf); }

}  // namespace tanren::formats
