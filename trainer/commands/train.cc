// train, resume: start a run from a recipe, or go on with one from its latest checkpoint.
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/config/recipe_file.h"
#include "runtime/config/recipe_text.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/mpirun.h"
#include "trainer/loop/run_folder.h"
#include "trainer/training_run.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string recipe;  // of train
  std::string run;
  std::vector<std::string> overrides;
  int ranks = 0;
  bool overwrite = false;
};

void AddCommonFlags(CLI::App& command, Arguments& arguments) {
  command.add_option("--set", arguments.overrides,
                     "Overrides a setting of the recipe, e.g. optimizer.learning_rate=1e-4; may be "
                     "given repeatedly");
  command
      .add_option("--ranks", arguments.ranks,
                  "Starts mpirun with so many ranks on this machine (else run this under mpirun or "
                  "srun)")
      ->check(CLI::PositiveNumber);
}

absl::StatusOr<int> RunOnRanks(const TrainingRunOptions& options) {
  return comm::RunRank(WorldOptionsOf(options),
                       [&](comm::World& world) { return TrainRecipe(options, world); });
}

absl::StatusOr<int> Train(const Arguments& arguments) {
  TrainingRunOptions options;
  TANREN_ASSIGN_OR_RETURN(options.recipe, LoadRecipe(arguments.recipe, arguments.overrides));
  TANREN_RETURN_IF_ERROR(BecomeRanks(arguments.ranks));
  options.run = fs::absolute(arguments.run.empty() ? fs::path("runs") / options.recipe.name()
                                                   : fs::path(arguments.run));
  options.overwrite = arguments.overwrite;
  return RunOnRanks(options);
}

absl::StatusOr<int> Resume(const Arguments& arguments) {
  TrainingRunOptions options;
  options.run = fs::absolute(arguments.run);
  options.resume = true;
  const fs::path stored = RunFolder(options.run).recipe();
  TANREN_ASSIGN_OR_RETURN(options.recipe, LoadRecipe(stored, arguments.overrides));
  TANREN_RETURN_IF_ERROR(BecomeRanks(arguments.ranks));
  TANREN_ASSIGN_OR_RETURN(const Recipe before, LoadRecipe(stored));
  for (const RecipeDifference& changed : Differences(before, options.recipe)) {
    LogInfo("{}: {} instead of {}", changed.key, changed.after, changed.before);
  }
  return RunOnRanks(options);
}

}  // namespace

void AddTrain(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand("train", "Train what a recipe says");
  command->add_option("recipe", arguments->recipe, "A YAML file; see deploy/recipes")->required();
  command->add_option("--run", arguments->run, "The run's folder; default: runs/<recipe's name>");
  command->add_flag("--overwrite", arguments->overwrite, "An earlier run in that folder may go");
  AddCommonFlags(*command, *arguments);
  command->callback([=, &action] { action = [=] { return Train(*arguments); }; });
}

void AddResume(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "resume", "Go on with a run from its latest checkpoint, on any number of ranks");
  command->add_option("run", arguments->run, "The run's folder")->required();
  AddCommonFlags(*command, *arguments);
  command->callback([=, &action] { action = [=] { return Resume(*arguments); }; });
}

}  // namespace tanren::trainer
