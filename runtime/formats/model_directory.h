// Writes a Hugging Face model directory that is whole or absent.
#ifndef TANREN_RUNTIME_FORMATS_MODEL_DIRECTORY_H_
#define TANREN_RUNTIME_FORMATS_MODEL_DIRECTORY_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/formats/leftovers.h"
#include "runtime/formats/safetensors_writer.h"
#include "runtime/formats/weights.h"

namespace tanren::formats {

// The small files, as texts; one that is absent isn't written.
struct ModelTexts {
  std::string config_json;
  std::optional<std::string> generation_config_json;
  std::optional<std::string> tokenizer_json;
  std::optional<std::string> tokenizer_config_json;
  std::optional<std::string> chat_template;  // chat_template.jinja
};

// Builds in a sibling folder, `<name>.tmp.<pid>`, which takes the name in Finish() and goes away if
// Finish() isn't reached; that of a writer that was killed goes when the next one begins. A model
// directory of that name is replaced in one step; any other folder or file of that name is kept,
// and is an error.
class ModelDirectoryWriter {
 public:
  static absl::StatusOr<std::unique_ptr<ModelDirectoryWriter>> Create(
      const std::filesystem::path& directory, const ModelTexts& texts,
      std::vector<TensorInfo> tensors, int64_t max_shard_bytes = int64_t{5'000'000'000});
  ~ModelDirectoryWriter();
  ModelDirectoryWriter(const ModelDirectoryWriter&) = delete;
  ModelDirectoryWriter& operator=(const ModelDirectoryWriter&) = delete;

  // As SafetensorsWriter's.
  absl::Status Write(std::string_view name, int64_t begin, std::span<const float> values) {
    return weights_->Write(name, begin, values);
  }
  absl::Status Finish();

 private:
  ModelDirectoryWriter(std::filesystem::path directory, std::filesystem::path temporary)
      : directory_(std::move(directory)), temporary_(std::move(temporary)) {}
  absl::Status Publish();

  std::filesystem::path directory_;
  std::filesystem::path temporary_;
  WriterMark mark_;
  std::unique_ptr<SafetensorsWriter> weights_;
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_MODEL_DIRECTORY_H_
