// A pretrained model on disk: a Hugging Face directory, or a GGUF file.
#ifndef TANREN_RUNTIME_FORMATS_MODEL_FILES_H_
#define TANREN_RUNTIME_FORMATS_MODEL_FILES_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/formats/model_config.h"
#include "runtime/formats/weights.h"

namespace tanren::formats {

// A GGUF's tokenizer (tokenizer.ggml.*).
struct GgufTokenizer {
  std::string model;                 // "gpt2"
  std::string pre;                   // "smollm"; may be empty
  std::vector<std::string> tokens;   // the index is the id
  std::vector<int32_t> token_types;  // empty: all normal
  std::vector<std::string> merges;   // "left right"
  std::optional<int32_t> bos_id, eos_id, pad_id, unk_id;
  std::optional<bool> add_bos, add_eos;
};

class ModelFiles {
 public:
  // `path` is a directory with config.json and model.safetensors (or the index of several), or a
  // .gguf file. Checks that each parameter of the config is there with its shape, and no other.
  // Errors say what is missing and where. Nothing is read of the weights themselves.
  static absl::StatusOr<ModelFiles> Open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  // With Hugging Face's names and shapes, and its order of query and key rows, whatever the source.
  // Where embeddings are tied there is no lm_head.weight to rely on.
  const WeightsReader& weights() const { return *weights_; }

  // The texts of a directory's files; nothing where there is none, and for a GGUF.
  const std::optional<std::string>& tokenizer_json() const { return tokenizer_json_; }
  const std::optional<std::string>& tokenizer_config_json() const { return tokenizer_config_json_; }
  const std::optional<std::string>& generation_config_json() const {
    return generation_config_json_;
  }
  // From chat_template.jinja, tokenizer_config.json ("default" where it names several), or a GGUF.
  const std::optional<std::string>& chat_template() const { return chat_template_; }
  // A GGUF's; nothing for a directory.
  const std::optional<GgufTokenizer>& gguf_tokenizer() const { return gguf_tokenizer_; }

 private:
  ModelFiles() = default;
  absl::Status OpenGguf();
  absl::Status OpenDirectory();
  absl::Status CheckTensors() const;

  std::filesystem::path path_;
  ModelConfig config_;
  std::unique_ptr<WeightsReader> weights_;
  std::optional<std::string> tokenizer_json_;
  std::optional<std::string> tokenizer_config_json_;
  std::optional<std::string> generation_config_json_;
  std::optional<std::string> chat_template_;
  std::optional<GgufTokenizer> gguf_tokenizer_;
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_MODEL_FILES_H_
