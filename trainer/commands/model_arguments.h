// What commands that read a model have in common: which one, in which precision.
#ifndef TANREN_TRAINER_COMMANDS_MODEL_ARGUMENTS_H_
#define TANREN_TRAINER_COMMANDS_MODEL_ARGUMENTS_H_

#include <ATen/core/Tensor.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/model/pretrained.h"
#include "trainer/rollout/generator.h"
#include "trainer/rollout/resident_model.h"

namespace tanren::trainer {

struct ModelArguments {
  // A Hugging Face directory, a GGUF file, a run's folder (its latest checkpoint), or one of its
  // checkpoints.
  std::string model;
  std::string dtype = "auto";  // fp32, bf16; auto: bf16, half the memory to read for each token
  int threads = 0;             // 0: all usable cores

  void AddTo(CLI::App& command);
};

// Opens what `path` names, as in ModelArguments::model.
absl::StatusOr<PretrainedModel> OpenAnyModel(const std::string& path);

// A model in memory with its text parts.
struct LoadedModel {
  PretrainedModel source;
  std::unique_ptr<ResidentModel> resident;

  Generator MakeGenerator(int batch_size) const;
};
absl::StatusOr<LoadedModel> LoadModel(const ModelArguments& arguments);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_COMMANDS_MODEL_ARGUMENTS_H_
