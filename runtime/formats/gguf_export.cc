#include "runtime/formats/gguf_export.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/formats/gguf_keys.h"
#include "runtime/formats/gguf_names.h"
#include "runtime/formats/gguf_writer.h"
#include "runtime/formats/model_family.h"
#include "runtime/formats/rope_scaling.h"

namespace tanren::formats {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;  // elements read at a time: whole blocks

DType StoredType(const TensorInfo& parameter, DType wanted) {
  if (parameter.shape.size() == 1) return DType::kF32;
  if (parameter.shape.back() % BlockElements(wanted) != 0) return DType::kF16;
  return wanted;
}

// A parameter and its place in the file.
struct Target {
  TensorInfo tensor;
  std::string parameter;     // Hugging Face's name
  bool interleaved = false;  // the halves of each head
};

absl::StatusOr<std::vector<Target>> TargetsOf(const ModelConfig& config, DType dtype) {
  const bool interleaves = FamilyOfModelType(config.model_type)->gguf_interleaves_heads;
  std::vector<Target> targets;
  for (TensorInfo& parameter : ModelTensors(config, dtype)) {
    const std::optional<std::string> name = GgufTensorName(parameter.name);
    if (!name) {
      return absl::UnimplementedError(
          fmt::format("the parameter {} has no name in a GGUF", parameter.name));
    }
    targets.push_back({{*name, StoredType(parameter, dtype), parameter.shape},
                       parameter.name,
                       interleaves && HasRotatedRows(parameter.name)});
  }
  return targets;
}

// Nothing but for Llama 3.1's scaling.
std::vector<float> RopeDivisors(const ModelConfig& config) {
  std::vector<float> divisors;
  if (config.rope_scaling.kind != RopeScaling::Kind::kLlama3) return divisors;
  for (int64_t pair = 0; pair < config.head_dim / 2; ++pair) {
    divisors.push_back(static_cast<float>(
        Llama3Divisor(config.rope_scaling, config.rope_theta, pair, config.head_dim)));
  }
  return divisors;
}

absl::Status Copy(const Target& target, const ReadParameter& read, GgufWriter& writer) {
  std::vector<float> values;
  const int64_t size = target.tensor.numel();
  for (int64_t begin = 0; begin < size; begin += kChunk) {
    const int64_t end = std::min(size, begin + kChunk);
    values.resize(static_cast<size_t>(end - begin));
    TANREN_RETURN_IF_ERROR(read(target.parameter, begin, end, values));
    TANREN_RETURN_IF_ERROR(writer.Write(target.tensor.name, begin, values));
  }
  return absl::OkStatus();
}

// Head by head.
absl::Status CopyInterleaved(const Target& target, int64_t head_dim, const ReadParameter& read,
                             GgufWriter& writer) {
  const int64_t size = target.tensor.numel();
  const int64_t row_size = size / target.tensor.shape[0];
  const int64_t head_size = head_dim * row_size;
  std::vector<float> rows(static_cast<size_t>(head_size)), interleaved(rows.size());
  for (int64_t begin = 0; begin < size; begin += head_size) {
    TANREN_RETURN_IF_ERROR(read(target.parameter, begin, begin + head_size, rows));
    for (int64_t row = 0; row < head_dim; ++row) {
      std::copy_n(rows.begin() + row * row_size, row_size,
                  interleaved.begin() + InterleavedRow(row, head_dim) * row_size);
    }
    TANREN_RETURN_IF_ERROR(writer.Write(target.tensor.name, begin, interleaved));
  }
  return absl::OkStatus();
}

absl::StatusOr<GgufMetadata> MetadataOf(const GgufModel& model, DType dtype) {
  TANREN_ASSIGN_OR_RETURN(GgufMetadata metadata, GgufKeysOf(model.config, model.name, dtype));
  if (model.tokenizer) {
    TANREN_RETURN_IF_ERROR(
        AppendTokenizerKeys(model.config, *model.tokenizer, model.chat_template, &metadata));
  }
  return metadata;
}

}  // namespace

absl::Status WriteGgufModel(const std::filesystem::path& file, const GgufModel& model, DType dtype,
                            const ReadParameter& read) {
  const absl::StatusOr<GgufMetadata> metadata = MetadataOf(model, dtype);
  if (!metadata.ok()) return Annotate(metadata.status(), file.string());
  const absl::StatusOr<std::vector<Target>> targets = TargetsOf(model.config, dtype);
  if (!targets.ok()) return Annotate(targets.status(), file.string());
  const std::vector<float> divisors = RopeDivisors(model.config);
  std::vector<TensorInfo> tensors;
  if (!divisors.empty()) {
    tensors.push_back(
        {std::string(kGgufRopeDivisors), DType::kF32, {static_cast<int64_t>(divisors.size())}});
  }
  for (const Target& target : *targets) tensors.push_back(target.tensor);

  TANREN_ASSIGN_OR_RETURN(const std::unique_ptr<GgufWriter> writer,
                          GgufWriter::Create(file, *metadata, std::move(tensors)));
  if (!divisors.empty()) TANREN_RETURN_IF_ERROR(writer->Write(kGgufRopeDivisors, 0, divisors));
  for (const Target& target : *targets) {
    TANREN_RETURN_IF_ERROR(target.interleaved
                               ? CopyInterleaved(target, model.config.head_dim, read, *writer)
                               : Copy(target, read, *writer));
  }
  return writer->Finish();
}

}  // namespace tanren::formats
