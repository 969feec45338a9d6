// A model with all that commands need of it: configuration, units, weights, tokenizer, template.
#ifndef TANREN_TRAINER_MODEL_PRETRAINED_H_
#define TANREN_TRAINER_MODEL_PRETRAINED_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "parallel/engine/engine.h"
#include "runtime/formats/model_config.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"
#include "trainer/model/model.h"

namespace tanren::trainer {

struct ModelText {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  // null where there is none
  std::string chat_template_source;                         // its Jinja
  std::string tokenizer_source;  // tokenizer.json as it was read; empty from a GGUF
};

struct PretrainedModel {
  formats::ModelConfig config;
  Model model;
  ModelText text;
  // Tokens that end an answer: of the configuration, the generation configuration, the tokenizer.
  std::vector<int32_t> end_tokens;
  // Reads a parameter's elements; throws Error. Null where there are no weights (pre-training).
  parallel::ParameterReader read;
};

// Where the parts of a model come from; see ModelRecipe in proto/recipe.proto. Empty: not given.
struct ModelPaths {
  std::filesystem::path path;           // a Hugging Face directory or a GGUF file
  std::filesystem::path config;         // a config.json, instead of `path`
  std::filesystem::path tokenizer;      // overrides path's
  std::filesystem::path chat_template;  // overrides path's
  std::filesystem::path checkpoint;     // a checkpoint's folder: overrides path's weights
};

// Checks that tokenizer and model fit: no id beyond the vocabulary.
absl::StatusOr<PretrainedModel> OpenPretrained(const ModelPaths& paths);

// Only tokenizer and template of `path`, which may also be a tokenizer.json, or a directory without
// weights.
absl::StatusOr<ModelText> OpenModelText(const std::filesystem::path& path);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MODEL_PRETRAINED_H_
