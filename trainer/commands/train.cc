// train, resume: start a run from a recipe, or go on with one from its latest checkpoint.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "parallel/checkpoint/checkpoint_folder.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/comm/launched_rank.h"
#include "runtime/config/recipe_file.h"
#include "runtime/config/recipe_text.h"
#include "runtime/telemetry/event_log.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/mpirun.h"
#include "trainer/loop/run_folder.h"
#include "trainer/training_run.h"
#include "trainer/world_options.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string recipe;  // of train
  std::string run;
  std::string continue_from;  // of train
  std::vector<std::string> overrides;
  int ranks = 0;
  bool overwrite = false;
  bool no_memory_check = false;
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
  command.add_flag("--no-memory-check", arguments.no_memory_check,
                   "Starts although the ranks need more memory than there is (see plan)");
}

// Refuses a folder before anything is touched there, another launch's flight records included.
absl::Status CheckFolder(const TrainingRunOptions& options) {
  const std::string run = options.run.string();
  if (EventLog::IsOpen(options.run)) {
    return absl::FailedPreconditionError(
        fmt::format("{}: the run is still going; another process writes its events.pb", run));
  }
  if (!options.resume && !options.overwrite && fs::exists(RunFolder(options.run).recipe())) {
    const auto saved = parallel::LatestCheckpoint(RunFolder(options.run).checkpoints());
    return absl::AlreadyExistsError(fmt::format(
        "{} holds a run already{} start over: --overwrite; or choose another folder: --run", run,
        saved.ok() && *saved ? fmt::format(". Go on with it: tanren-worker resume {}; or", run)
                             : std::string(", which saved no checkpoint to go on from:")));
  }
  return absl::OkStatus();
}

absl::Status CheckContinuation(const TrainingRunOptions& options) {
  const fs::path& checkpoint = options.continue_from;
  if (!fs::is_directory(checkpoint)) {
    return absl::NotFoundError(
        fmt::format("--continue-from {}: no such folder; a checkpoint is <run>/checkpoints/step-N",
                    checkpoint.string()));
  }
  if (checkpoint.parent_path().parent_path() == options.run.lexically_normal()) {
    return absl::InvalidArgumentError(
        fmt::format("--continue-from {}: that is this run's own; go on with it: tanren-worker "
                    "resume {}",
                    checkpoint.string(), options.run.string()));
  }
  return absl::OkStatus();
}

bool IsFirstRank() { return comm::GlobalRank(std::getenv) == 0; }

// What goes wrong before the ranks meet, each of them finds by itself. The first one says it, and
// its end ends the others before they repeat it; one that is alone with its trouble still speaks.
absl::StatusOr<int> FirstRankSpeaks(absl::StatusOr<int> outcome) {
  constexpr auto kTimeToEndAll = std::chrono::seconds(2);
  if (!outcome.ok() && !IsFirstRank()) std::this_thread::sleep_for(kTimeToEndAll);
  return outcome;
}

// --ranks starts ranks where nothing else did; else it can only be right or wrong.
absl::Status CheckRanks(int asked, int started) {
  if (asked == 0 || asked == started) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("--ranks is {}, but the launcher started {}; start as many (mpirun -n {}), or "
                  "leave --ranks out",
                  asked, started, asked));
}

absl::StatusOr<int> RunOnRanks(const TrainingRunOptions& options, int ranks) {
  TANREN_RETURN_IF_ERROR(CheckFolder(options));
  return comm::RunRank(WorldOptionsOf(options), [&](comm::World& world) -> absl::StatusOr<int> {
    TANREN_RETURN_IF_ERROR(CheckRanks(ranks, world.communicator().size()));
    return TrainRecipe(options, world);
  });
}

absl::StatusOr<int> Train(const Arguments& arguments) {
  TrainingRunOptions options;
  TANREN_ASSIGN_OR_RETURN(options.recipe, LoadRecipe(arguments.recipe, arguments.overrides));
  TANREN_RETURN_IF_ERROR(BecomeRanks(arguments.ranks));
  options.run = fs::absolute(arguments.run.empty() ? fs::path("runs") / options.recipe.name()
                                                   : fs::path(arguments.run));
  options.overwrite = arguments.overwrite;
  if (!arguments.continue_from.empty()) {
    options.continue_from = fs::absolute(arguments.continue_from).lexically_normal();
    if (!options.continue_from.has_filename()) {
      options.continue_from = options.continue_from.parent_path();  // it ended in a slash
    }
    TANREN_RETURN_IF_ERROR(CheckContinuation(options));
  }
  options.check_memory = !arguments.no_memory_check;
  return RunOnRanks(options, arguments.ranks);
}

absl::StatusOr<int> Resume(const Arguments& arguments) {
  TrainingRunOptions options;
  options.run = fs::absolute(arguments.run);
  options.resume = true;
  options.check_memory = !arguments.no_memory_check;
  const fs::path stored = RunFolder(options.run).recipe();
  TANREN_ASSIGN_OR_RETURN(options.recipe, LoadRecipe(stored, arguments.overrides));
  TANREN_RETURN_IF_ERROR(BecomeRanks(arguments.ranks));
  TANREN_ASSIGN_OR_RETURN(const Recipe before, LoadRecipe(stored));
  for (const RecipeDifference& changed : Differences(before, options.recipe)) {
    if (IsFirstRank()) LogInfo("{}: {} instead of {}", changed.key, changed.after, changed.before);
  }
  return RunOnRanks(options, arguments.ranks);
}

}  // namespace

void AddTrain(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand("train", "Train what a recipe says");
  command->add_option("recipe", arguments->recipe, "A YAML file; see deploy/recipes")->required();
  command->add_option("--run", arguments->run, "The run's folder; default: runs/<recipe's name>");
  command->add_flag("--overwrite", arguments->overwrite, "An earlier run in that folder may go");
  command->add_option("--continue-from", arguments->continue_from,
                      "Go on behind a checkpoint of another run (<run>/checkpoints/step-N), whose "
                      "metrics this one takes over");
  AddCommonFlags(*command, *arguments);
  command->callback([=, &action] { action = [=] { return FirstRankSpeaks(Train(*arguments)); }; });
}

void AddResume(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "resume", "Go on with a run from its latest checkpoint, on any number of ranks");
  command->add_option("run", arguments->run, "The run's folder")->required();
  AddCommonFlags(*command, *arguments);
  command->callback([=, &action] { action = [=] { return FirstRankSpeaks(Resume(*arguments)); }; });
}

}  // namespace tanren::trainer
