// A model as a Hugging Face directory that other programs load.
#ifndef TANREN_TRAINER_MODEL_EXPORT_H_
#define TANREN_TRAINER_MODEL_EXPORT_H_

#include <array>
#include <filesystem>
#include <string_view>

#include "absl/status/status.h"
#include "runtime/formats/dtype.h"
#include "trainer/model/pretrained.h"

namespace tanren::trainer {

// What weights can be written as, by the names that recipes (in capitals) and flags have for it.
struct ExportType {
  std::string_view name;
  formats::DType dtype;
  bool only_gguf = false;
};
inline constexpr std::array kExportTypes = {
    ExportType{"bf16", formats::DType::kBF16}, ExportType{"fp16", formats::DType::kF16},
    ExportType{"fp32", formats::DType::kF32}, ExportType{"q8_0", formats::DType::kQ8_0, true}};

// Throws Error for a name that isn't among them.
const ExportType& ExportTypeNamed(std::string_view name);

// Writes configuration, weights as `dtype` (fp32, bf16 or fp16), tokenizer and template; weights
// are streamed, never whole in memory. Whole or absent; a model directory of that name is replaced.
absl::Status ExportModel(const PretrainedModel& model, formats::DType dtype,
                         const std::filesystem::path& directory);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MODEL_EXPORT_H_
