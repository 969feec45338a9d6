// What sets the families of models apart in their files. A family is one row in model_family.cc,
// and one line in trainer/model/model.cc.
#ifndef TANREN_RUNTIME_FORMATS_MODEL_FAMILY_H_
#define TANREN_RUNTIME_FORMATS_MODEL_FAMILY_H_

#include <string>
#include <string_view>

namespace tanren::formats {

struct ModelFamily {
  enum class AttentionBias {
    kNone,
    kQueryKeyValue,  // always, and never in the output projection
    kSetting,        // attention_bias of config.json, for all four projections
  };
  // Attention to the last `sliding_window` tokens alone, which isn't supported.
  enum class Window {
    kNone,
    kEveryLayer,   // where sliding_window isn't null
    kUpperLayers,  // from max_window_layers on, and only where use_sliding_window is true
  };

  std::string_view model_type;    // of config.json
  std::string_view architecture;  // of config.json
  std::string_view gguf;          // its general.architecture; empty where GGUFs aren't read
  // llama.cpp rotates neighbouring rows (2j, 2j + 1) of a head, not (j, j + head_dim / 2): GGUFs
  // have the rows of the query and key projections in that order.
  bool gguf_interleaves_heads = false;

  AttentionBias attention_bias = AttentionBias::kNone;
  bool mlp_bias_is_setting = false;  // mlp_bias of config.json; else there is none
  bool query_key_norm = false;       // RMSNorm of each head's queries and keys, before rotation
  Window window = Window::kNone;

  // What absent keys of config.json mean. Where transformers' defaults are the sizes of one model,
  // the key has to be there.
  bool sizes_have_defaults = false;     // num_key_value_heads, max_position_embeddings
  bool head_dim_follows_hidden = true;  // hidden_size / num_attention_heads
  bool ids_have_defaults = false;       // 1 begins and 2 ends a text; else there are no such tokens
};

// Null for another's name.
const ModelFamily* FamilyOfModelType(std::string_view model_type);
const ModelFamily* FamilyOfGguf(std::string_view general_architecture);

// For errors: "llama, mistral, qwen2 or qwen3", as config.json and GGUFs name them.
std::string KnownModelTypes();
std::string KnownGgufArchitectures();

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_MODEL_FAMILY_H_
