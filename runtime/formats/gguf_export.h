// Writes a whole model as the GGUF that llama.cpp loads.
#ifndef TANREN_RUNTIME_FORMATS_GGUF_EXPORT_H_
#define TANREN_RUNTIME_FORMATS_GGUF_EXPORT_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "runtime/formats/dtype.h"
#include "runtime/formats/model_config.h"
#include "runtime/formats/model_files.h"

namespace tanren::formats {

struct GgufModel {
  ModelConfig config;
  std::string name;                        // general.name
  std::optional<GgufTokenizer> tokenizer;  // one token for each row of the embeddings
  std::string chat_template;               // empty: none
};

// Elements begin … end - 1 of a parameter by its Hugging Face name, flattened in Hugging Face's
// order.
using ReadParameter = std::function<absl::Status(const std::string& name, int64_t begin,
                                                 int64_t end, std::span<float> values)>;

// The weights as `dtype`: F32, F16, BF16 or Q8_0. As llama.cpp has it, tensors of one dimension
// (norms, biases) stay F32, and in a Q8_0 file those whose rows aren't whole blocks become F16.
// Weights are streamed, a few MB at a time. Whole or absent; a file of that name is replaced.
// kUnimplemented and kInvalidArgument say which part of the model a GGUF can't express.
absl::Status WriteGgufModel(const std::filesystem::path& file, const GgufModel& model, DType dtype,
                            const ReadParameter& read);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_GGUF_EXPORT_H_
