// safetensors: Hugging Face's format of weights, one file or several with an index.
#ifndef TANREN_RUNTIME_FORMATS_SAFETENSORS_H_
#define TANREN_RUNTIME_FORMATS_SAFETENSORS_H_

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "runtime/formats/weights.h"

namespace tanren::formats {

// Opens one .safetensors file.
absl::StatusOr<std::unique_ptr<WeightsReader>> OpenSafetensors(const std::filesystem::path& file);

// Opens the model.safetensors of a directory, or all files that its model.safetensors.index.json
// names. kNotFound where there is neither.
absl::StatusOr<std::unique_ptr<WeightsReader>> OpenSafetensorsDirectory(
    const std::filesystem::path& directory);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_SAFETENSORS_H_
