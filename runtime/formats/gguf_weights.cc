#include "runtime/formats/gguf_weights.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/formats/model_family.h"

namespace tanren::formats {
namespace {

struct Rename {
  std::string_view gguf;
  std::string_view hugging_face;
};

constexpr std::array kWholeNames = {
    Rename{"token_embd.weight", "model.embed_tokens.weight"},
    Rename{"output_norm.weight", "model.norm.weight"},
    Rename{"output.weight", "lm_head.weight"},
};

constexpr std::array kLayerNames = {
    Rename{"attn_norm", "input_layernorm"},    Rename{"attn_q", "self_attn.q_proj"},
    Rename{"attn_k", "self_attn.k_proj"},      Rename{"attn_v", "self_attn.v_proj"},
    Rename{"attn_output", "self_attn.o_proj"}, Rename{"ffn_norm", "post_attention_layernorm"},
    Rename{"ffn_gate", "mlp.gate_proj"},       Rename{"ffn_up", "mlp.up_proj"},
    Rename{"ffn_down", "mlp.down_proj"},       Rename{"attn_q_norm", "self_attn.q_norm"},
    Rename{"attn_k_norm", "self_attn.k_norm"},
};

// blk.N.attn_q.weight -> model.layers.N.self_attn.q_proj.weight; nothing for an unknown name.
std::optional<std::string> HuggingFaceName(std::string_view name) {
  for (const Rename& rename : kWholeNames) {
    if (name == rename.gguf) return std::string(rename.hugging_face);
  }
  if (!name.starts_with("blk.")) return std::nullopt;
  name.remove_prefix(4);
  int layer = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (error != std::errc() || layer < 0) return std::nullopt;
  name.remove_prefix(static_cast<size_t>(end - name.data()));
  const size_t dot = name.rfind('.');
  if (!name.starts_with('.') || dot == 0) return std::nullopt;
  const std::string_view kind = name.substr(dot + 1);
  if (kind != "weight" && kind != "bias") return std::nullopt;
  for (const Rename& rename : kLayerNames) {
    if (name.substr(1, dot - 1) == rename.gguf) {
      return fmt::format("model.layers.{}.{}.{}", layer, rename.hugging_face, kind);
    }
  }
  return std::nullopt;
}

class GgufWeights final : public WeightsReader {
 public:
  GgufWeights(std::unique_ptr<Gguf> gguf, const ModelConfig& config)
      : WeightsReader(gguf->where()),
        gguf_(std::move(gguf)),
        architecture_(config.architecture),
        head_dim_(config.head_dim),
        interleaved_(FamilyOfModelType(config.model_type)->gguf_interleaves_heads) {}

  absl::Status Rename() {
    std::vector<TensorInfo> renamed;
    for (const TensorInfo& tensor : gguf_->tensors()) {
      if (tensor.name == "rope_freqs.weight") continue;
      const std::optional<std::string> name = HuggingFaceName(tensor.name);
      if (!name) {
        return absl::InvalidArgumentError(
            fmt::format("{}: {} has no tensor {}", where(), architecture_, tensor.name));
      }
      const bool permuted = interleaved_ && (name->find(".q_proj.") != std::string::npos ||
                                             name->find(".k_proj.") != std::string::npos);
      if (permuted && tensor.shape[0] % head_dim_ != 0) {
        return absl::InvalidArgumentError(fmt::format("{}: {}: found {} rows, expected heads of {}",
                                                      where(), tensor.name, tensor.shape[0],
                                                      head_dim_));
      }
      renamed.push_back({*name, tensor.dtype, tensor.shape});
      sources_.push_back({tensor.name, permuted});
    }
    return SetTensors(std::move(renamed));
  }

 private:
  struct Source {
    std::string name;
    bool permuted;
  };

  absl::Status ReadRange(size_t index, int64_t begin, int64_t end,
                         std::span<float> values) const override {
    const Source& source = sources_[index];
    if (!source.permuted) return gguf_->Read(source.name, begin, end, values);
    const TensorInfo& info = tensors()[index];
    const int64_t row_elements = info.numel() / info.shape[0];
    while (begin < end) {
      const int64_t row = begin / row_elements;
      const int64_t column = begin % row_elements;
      const int64_t count = std::min(row_elements - column, end - begin);
      const int64_t first = StoredRow(row) * row_elements + column;
      TANREN_RETURN_IF_ERROR(
          gguf_->Read(source.name, first, first + count, values.first(static_cast<size_t>(count))));
      values = values.subspan(static_cast<size_t>(count));
      begin += count;
    }
    return absl::OkStatus();
  }

  int64_t StoredRow(int64_t row) const {
    const int64_t in_head = row % head_dim_;
    const int64_t half = head_dim_ / 2;
    return row - in_head + in_head % half * 2 + in_head / half;
  }

  std::unique_ptr<Gguf> gguf_;
  std::string architecture_;
  int64_t head_dim_;
  bool interleaved_;
  std::vector<Source> sources_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WeightsReader>> OpenGgufWeights(std::unique_ptr<Gguf> gguf,
                                                               const ModelConfig& config) {
  auto weights = std::make_unique<GgufWeights>(std::move(gguf), config);
  TANREN_RETURN_IF_ERROR(weights->Rename());
  return weights;
}

}  // namespace tanren::formats
