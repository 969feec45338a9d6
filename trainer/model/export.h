// A model as a Hugging Face directory that other programs load.
#ifndef TANREN_TRAINER_MODEL_EXPORT_H_
#define TANREN_TRAINER_MODEL_EXPORT_H_

#include <filesystem>

#include "absl/status/status.h"
#include "runtime/formats/dtype.h"
#include "trainer/model/pretrained.h"

namespace tanren::trainer {

// Writes configuration, weights as `dtype` (fp32, bf16 or fp16), tokenizer and template; weights
// are streamed, never whole in memory. Whole or absent; a model directory of that name is replaced.
absl::Status ExportModel(const PretrainedModel& model, formats::DType dtype,
                         const std::filesystem::path& directory);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MODEL_EXPORT_H_
