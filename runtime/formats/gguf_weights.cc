#include "runtime/formats/gguf_weights.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/formats/gguf_names.h"
#include "runtime/formats/model_family.h"

namespace tanren::formats {
namespace {

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
      if (tensor.name == kGgufRopeDivisors) continue;
      const std::optional<std::string> name = HuggingFaceTensorName(tensor.name);
      if (!name) {
        return absl::InvalidArgumentError(
            fmt::format("{}: {} has no tensor {}", where(), architecture_, tensor.name));
      }
      const bool permuted = interleaved_ && HasRotatedRows(*name);
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
      const int64_t first = InterleavedRow(row, head_dim_) * row_elements + column;
      TANREN_RETURN_IF_ERROR(
          gguf_->Read(source.name, first, first + count, values.first(static_cast<size_t>(count))));
      values = values.subspan(static_cast<size_t>(count));
      begin += count;
    }
    return absl::OkStatus();
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
