#include "trainer/model/export.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/formats/model_directory.h"

namespace tanren::trainer {
namespace {

std::string DtypeName(formats::DType dtype) {
  switch (dtype) {
    case formats::DType::kBF16:
      return "bfloat16";
    case formats::DType::kF16:
      return "float16";
    default:
      return "float32";
  }
}

// What transformers' generate() reads: greedy unless asked otherwise, ends at the end tokens.
std::string GenerationConfig(const PretrainedModel& model) {
  nlohmann::ordered_json json;
  if (model.config.bos_token_id) json["bos_token_id"] = *model.config.bos_token_id;
  if (!model.end_tokens.empty()) json["eos_token_id"] = model.end_tokens;
  if (model.config.pad_token_id) json["pad_token_id"] = *model.config.pad_token_id;
  return json.dump(2) + "\n";
}

formats::ModelTexts TextsOf(const PretrainedModel& model, formats::DType dtype) {
  formats::ModelConfig config = model.config;
  config.torch_dtype = DtypeName(dtype);
  formats::ModelTexts texts;
  texts.config_json = formats::ToJson(config);
  texts.generation_config_json = GenerationConfig(model);
  const ModelText& text = model.text;
  texts.tokenizer_json =
      text.tokenizer_source.empty() ? text.tokenizer->ToJson() : text.tokenizer_source;
  texts.tokenizer_config_json = text.tokenizer->ToConfigJson(text.chat_template_source);
  if (text.chat_template != nullptr) texts.chat_template = text.chat_template_source;
  return texts;
}

}  // namespace

const ExportType& ExportTypeNamed(std::string_view name) {
  const auto* const found =
      std::find_if(kExportTypes.begin(), kExportTypes.end(),
                   [&](const ExportType& known) { return known.name == name; });
  TANREN_CHECK(found != kExportTypes.end(), "nothing is exported as {}", name);
  return *found;
}

absl::Status ExportModel(const PretrainedModel& model, formats::DType dtype,
                         const std::filesystem::path& directory) {
  constexpr int64_t kChunk = int64_t{1} << 22;
  TANREN_CHECK(model.read != nullptr, "the model has no weights to export");
  std::vector<formats::TensorInfo> tensors = formats::ModelTensors(model.config, dtype);
  TANREN_ASSIGN_OR_RETURN(
      const std::unique_ptr<formats::ModelDirectoryWriter> writer,
      formats::ModelDirectoryWriter::Create(directory, TextsOf(model, dtype), tensors));
  std::vector<float> values;
  try {
    for (const formats::TensorInfo& tensor : tensors) {
      for (int64_t begin = 0; begin < tensor.numel(); begin += kChunk) {
        const int64_t end = std::min(tensor.numel(), begin + kChunk);
        values.resize(static_cast<size_t>(end - begin));
        model.read(tensor.name, begin, end, values);
        TANREN_RETURN_IF_ERROR(writer->Write(tensor.name, begin, values));
      }
    }
  } catch (...) {
    return StatusOfCurrentException();
  }
  return writer->Finish();
}

}  // namespace tanren::trainer
