#include "trainer/commands/model_arguments.h"

#include <filesystem>

#include "parallel/checkpoint/checkpoint_folder.h"
#include "runtime/base/error.h"
#include "runtime/config/recipe_file.h"
#include "trainer/loop/run_folder.h"
#include "trainer/recipe_parts.h"
#include "trainer/threads.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<PretrainedModel> OpenCheckpoint(const fs::path& run, const fs::path& checkpoint) {
  TANREN_ASSIGN_OR_RETURN(const Recipe recipe, LoadRecipe(RunFolder(run).recipe()));
  ModelPaths paths = ModelPathsOf(recipe.model());
  paths.checkpoint = checkpoint;
  return OpenPretrained(paths);
}

}  // namespace

void ModelArguments::AddTo(CLI::App& command) {
  command
      .add_option("--model", model,
                  "A Hugging Face directory, a GGUF file, a run's folder or one of its checkpoints")
      ->required();
  command.add_option("--dtype", dtype, "Of the weights: fp32, bf16, or auto (bf16)")
      ->check(CLI::IsMember({"auto", "fp32", "bf16"}));
  command.add_option("--threads", threads, "0: all usable cores")->check(CLI::Range(0, 4096));
}

absl::StatusOr<PretrainedModel> OpenAnyModel(const std::string& path) {
  const fs::path given(path);
  if (fs::exists(given / "manifest.json")) {
    return OpenCheckpoint(fs::absolute(given).parent_path().parent_path(), given);
  }
  const RunFolder run(given);
  if (fs::exists(run.recipe())) {
    TANREN_ASSIGN_OR_RETURN(const std::optional<fs::path> latest,
                            parallel::LatestCheckpoint(run.checkpoints()));
    if (!latest) {
      return absl::NotFoundError(
          fmt::format("{}: the run has no checkpoint yet", run.checkpoints().string()));
    }
    return OpenCheckpoint(given, *latest);
  }
  ModelPaths paths;
  paths.path = given;
  return OpenPretrained(paths);
}

Generator LoadedModel::MakeGenerator(int batch_size) const {
  return Generator(*resident, *source.text.tokenizer,
                   {source.end_tokens, source.config.max_position_embeddings, batch_size});
}

absl::StatusOr<LoadedModel> LoadModel(const ModelArguments& arguments) {
  UseThreads(arguments.threads);
  TANREN_ASSIGN_OR_RETURN(PretrainedModel source, OpenAnyModel(arguments.model));
  const at::ScalarType dtype = arguments.dtype == "fp32" ? at::kFloat : at::kBFloat16;
  auto resident =
      std::make_unique<ResidentModel>(ResidentModel::Load(source.model, source.read, dtype));
  return LoadedModel{std::move(source), std::move(resident)};
}

}  // namespace tanren::trainer
