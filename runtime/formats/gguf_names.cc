#include "runtime/formats/gguf_names.h"

#include <algorithm>
#include <array>

#include "fmt/format.h"

namespace tanren::formats {
namespace {

struct Names {
  std::string_view gguf;
  std::string_view hugging_face;
};

constexpr std::array kWhole = {
    Names{"token_embd.weight", "model.embed_tokens.weight"},
    Names{"output_norm.weight", "model.norm.weight"},
    Names{"output.weight", "lm_head.weight"},
};

constexpr std::array kOfLayer = {
    Names{"attn_norm", "input_layernorm"},    Names{"attn_q", "self_attn.q_proj"},
    Names{"attn_k", "self_attn.k_proj"},      Names{"attn_v", "self_attn.v_proj"},
    Names{"attn_output", "self_attn.o_proj"}, Names{"ffn_norm", "post_attention_layernorm"},
    Names{"ffn_gate", "mlp.gate_proj"},       Names{"ffn_up", "mlp.up_proj"},
    Names{"ffn_down", "mlp.down_proj"},       Names{"attn_q_norm", "self_attn.q_norm"},
    Names{"attn_k_norm", "self_attn.k_norm"},
};

// <prefix><layer>.<name>.<weight or bias>
std::optional<std::string> Translate(std::string_view name, std::string_view Names::*from,
                                     std::string_view from_prefix, std::string_view Names::*to,
                                     std::string_view to_prefix) {
  for (const Names& names : kWhole) {
    if (name == names.*from) return std::string(names.*to);
  }
  if (!name.starts_with(from_prefix)) return std::nullopt;
  name.remove_prefix(from_prefix.size());
  const size_t layer_end = name.find('.'), kind_begin = name.rfind('.');
  if (layer_end == kind_begin) return std::nullopt;  // also where there is none
  const std::string_view layer = name.substr(0, layer_end), kind = name.substr(kind_begin + 1);
  const bool is_number =
      !layer.empty() && layer.size() < 10 &&
      std::all_of(layer.begin(), layer.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number || (kind != "weight" && kind != "bias")) return std::nullopt;
  for (const Names& names : kOfLayer) {
    if (name.substr(layer_end + 1, kind_begin - layer_end - 1) == names.*from) {
      return fmt::format("{}{}.{}.{}", to_prefix, layer, names.*to, kind);
    }
  }
  return std::nullopt;
}

constexpr std::string_view kGgufPrefix = "blk.";
constexpr std::string_view kHuggingFacePrefix = "model.layers.";

}  // namespace

std::optional<std::string> HuggingFaceTensorName(std::string_view gguf_name) {
  return Translate(gguf_name, &Names::gguf, kGgufPrefix, &Names::hugging_face, kHuggingFacePrefix);
}

std::optional<std::string> GgufTensorName(std::string_view hugging_face_name) {
  return Translate(hugging_face_name, &Names::hugging_face, kHuggingFacePrefix, &Names::gguf,
                   kGgufPrefix);
}

bool HasRotatedRows(std::string_view hugging_face_name) {
  return hugging_face_name.find(".q_proj.") != std::string_view::npos ||
         hugging_face_name.find(".k_proj.") != std::string_view::npos;
}

int64_t InterleavedRow(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim;
  const int64_t half = head_dim / 2;
  return row - in_head + in_head % half * 2 + in_head / half;
}

}  // namespace tanren::formats
