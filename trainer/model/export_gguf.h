// A model as the GGUF that llama.cpp loads.
#ifndef TANREN_TRAINER_MODEL_EXPORT_GGUF_H_
#define TANREN_TRAINER_MODEL_EXPORT_GGUF_H_

#include <filesystem>

#include "absl/status/status.h"
#include "runtime/formats/dtype.h"
#include "trainer/model/pretrained.h"

namespace tanren::trainer {

// Writes configuration, weights as `dtype` (F32, F16, BF16 or Q8_0; see WriteGgufModel), tokenizer
// and template into one file, whose name without ".gguf" is the model's. Weights are streamed,
// never whole in memory. Whole or absent; a file of that name is replaced. What a GGUF can't
// express is an error that names it.
absl::Status ExportGguf(const PretrainedModel& model, formats::DType dtype,
                        const std::filesystem::path& file);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MODEL_EXPORT_GGUF_H_
