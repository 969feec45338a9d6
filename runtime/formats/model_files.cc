#include "runtime/formats/model_files.h"

#include <limits>
#include <set>
#include <string_view>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/formats/foreign_file.h"
#include "runtime/formats/gguf_weights.h"
#include "runtime/formats/model_files_text.h"
#include "runtime/formats/safetensors.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<std::optional<int32_t>> TokenId(const Gguf& gguf, std::string_view key) {
  TANREN_ASSIGN_OR_RETURN(const std::optional<int64_t> id, gguf.FindInt(key));
  if (!id) return std::optional<int32_t>();
  if (*id < 0 || *id > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {} is {}, expected a token id", gguf.where(), key, *id));
  }
  return static_cast<int32_t>(*id);
}

absl::StatusOr<std::optional<GgufTokenizer>> ReadTokenizer(const Gguf& gguf) {
  GgufTokenizer tokenizer;
  TANREN_ASSIGN_OR_RETURN(const auto* tokens, gguf.FindStrings("tokenizer.ggml.tokens"));
  if (tokens == nullptr) return std::optional<GgufTokenizer>();
  tokenizer.tokens = *tokens;
  TANREN_ASSIGN_OR_RETURN(const auto model, gguf.FindString("tokenizer.ggml.model"));
  tokenizer.model = model.value_or("");
  TANREN_ASSIGN_OR_RETURN(const auto pre, gguf.FindString("tokenizer.ggml.pre"));
  tokenizer.pre = pre.value_or("");
  TANREN_ASSIGN_OR_RETURN(const auto* types, gguf.FindInts("tokenizer.ggml.token_type"));
  if (types != nullptr) {
    if (types->size() != tokens->size()) {
      return absl::InvalidArgumentError(
          fmt::format("{}: found {} numbers in tokenizer.ggml.token_type, expected one for each of "
                      "{} tokens",
                      gguf.where(), types->size(), tokens->size()));
    }
    tokenizer.token_types.assign(types->begin(), types->end());
  }
  TANREN_ASSIGN_OR_RETURN(const auto* merges, gguf.FindStrings("tokenizer.ggml.merges"));
  if (merges != nullptr) tokenizer.merges = *merges;
  TANREN_ASSIGN_OR_RETURN(tokenizer.bos_id, TokenId(gguf, "tokenizer.ggml.bos_token_id"));
  TANREN_ASSIGN_OR_RETURN(tokenizer.eos_id, TokenId(gguf, "tokenizer.ggml.eos_token_id"));
  TANREN_ASSIGN_OR_RETURN(tokenizer.pad_id, TokenId(gguf, "tokenizer.ggml.padding_token_id"));
  TANREN_ASSIGN_OR_RETURN(tokenizer.unk_id, TokenId(gguf, "tokenizer.ggml.unknown_token_id"));
  TANREN_ASSIGN_OR_RETURN(tokenizer.add_bos, gguf.FindBool("tokenizer.ggml.add_bos_token"));
  TANREN_ASSIGN_OR_RETURN(tokenizer.add_eos, gguf.FindBool("tokenizer.ggml.add_eos_token"));
  return std::optional(std::move(tokenizer));
}

// Left over in old files: computed from the config, or replaced by the embeddings.
bool MayBeIgnored(std::string_view name, const ModelConfig& config) {
  return name.ends_with(".rotary_emb.inv_freq") ||
         (config.tie_word_embeddings && name == "lm_head.weight");
}

}  // namespace

absl::StatusOr<ModelFiles> ModelFiles::Open(const fs::path& path) {
  ModelFiles files;
  files.path_ = path;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) {
    TANREN_RETURN_IF_ERROR(files.OpenDirectory());
  } else if (!fs::exists(status)) {
    return absl::NotFoundError(fmt::format(
        "{}: there is no such file or folder; expected a Hugging Face directory or a .gguf file",
        path.string()));
  } else if (path.extension() == ".gguf") {
    TANREN_RETURN_IF_ERROR(files.OpenGguf());
  } else {
    if (HasPickleName(path)) return RefusePickle(path);
    TANREN_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
    TANREN_RETURN_IF_ERROR(CheckForeign(path, file.bytes()));
    return absl::InvalidArgumentError(
        fmt::format("{}: expected a Hugging Face directory or a .gguf file", path.string()));
  }
  TANREN_RETURN_IF_ERROR(files.CheckTensors());
  return files;
}

absl::Status ModelFiles::OpenGguf() {
  TANREN_ASSIGN_OR_RETURN(std::unique_ptr<Gguf> gguf, Gguf::Open(path_));
  TANREN_ASSIGN_OR_RETURN(config_, ModelConfigFromGguf(*gguf));
  TANREN_ASSIGN_OR_RETURN(gguf_tokenizer_, ReadTokenizer(*gguf));
  TANREN_ASSIGN_OR_RETURN(chat_template_, gguf->FindString("tokenizer.chat_template"));
  TANREN_ASSIGN_OR_RETURN(weights_, OpenGgufWeights(std::move(gguf), config_));
  return absl::OkStatus();
}

absl::Status ModelFiles::OpenDirectory() {
  TANREN_ASSIGN_OR_RETURN(const std::string config, ReadRequiredText(path_, "config.json"));
  TANREN_ASSIGN_OR_RETURN(config_, ModelConfigFromJson(config, (path_ / "config.json").string()));
  TANREN_ASSIGN_OR_RETURN(tokenizer_json_, ReadOptionalText(path_, "tokenizer.json"));
  TANREN_ASSIGN_OR_RETURN(tokenizer_config_json_, ReadOptionalText(path_, "tokenizer_config.json"));
  TANREN_ASSIGN_OR_RETURN(generation_config_json_,
                          ReadOptionalText(path_, "generation_config.json"));
  TANREN_ASSIGN_OR_RETURN(chat_template_, ReadOptionalText(path_, "chat_template.jinja"));
  if (!chat_template_ && tokenizer_config_json_) {
    TANREN_ASSIGN_OR_RETURN(
        chat_template_,
        ChatTemplateOf(*tokenizer_config_json_, (path_ / "tokenizer_config.json").string()));
  }
  TANREN_ASSIGN_OR_RETURN(weights_, OpenSafetensorsDirectory(path_));
  return absl::OkStatus();
}

absl::Status ModelFiles::CheckTensors() const {
  const std::vector<TensorInfo> expected = ModelTensors(config_, DType::kF32);
  std::set<std::string_view> wanted;
  for (const TensorInfo& tensor : expected) {
    wanted.insert(tensor.name);
    const TensorInfo* found = weights_->Find(tensor.name);
    if (found == nullptr) {
      return absl::NotFoundError(
          fmt::format("{}: the tensor {} is missing", weights_->where(), tensor.name));
    }
    if (found->shape != tensor.shape || !HasFloatValues(found->dtype)) {
      return absl::InvalidArgumentError(fmt::format(
          "{}: {}: found {} {}, expected {} of a float type", weights_->where(), tensor.name,
          Name(found->dtype), ShapeText(found->shape), ShapeText(tensor.shape)));
    }
  }
  for (const TensorInfo& tensor : weights_->tensors()) {
    if (!wanted.contains(tensor.name) && !MayBeIgnored(tensor.name, config_)) {
      return absl::InvalidArgumentError(
          fmt::format("{}: the tensor {} has no place in a {} of this config", weights_->where(),
                      tensor.name, config_.architecture));
    }
  }
  return absl::OkStatus();
}

}  // namespace tanren::formats
