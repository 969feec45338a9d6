// One run of a recipe on this launch's ranks: everything is made from the recipe, then the loop
// goes.
#ifndef TANREN_TRAINER_TRAINING_RUN_H_
#define TANREN_TRAINER_TRAINING_RUN_H_

#include <filesystem>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"
#include "runtime/comm/world.h"

namespace tanren::trainer {

struct TrainingRunOptions {
  Recipe recipe;              // resolved
  std::filesystem::path run;  // the run's folder
  bool resume = false;        // from the latest checkpoint there
  // Else: begins as a copy of the run that this checkpoint (<run>/checkpoints/step-N) belongs to,
  // its metrics and answers included, and goes on behind it. That run's folder is only read.
  std::filesystem::path continue_from;
  bool overwrite = false;    // an earlier run in the folder may go
  bool check_memory = true;  // refuse a run that needs more than there is
};

// A collective: every rank of the world, which has a run folder, calls it. Returns the process's
// exit code: 0 when all steps are done, comm::kSavedExitCode when the run was asked to stop and has
// saved.
absl::StatusOr<int> TrainRecipe(const TrainingRunOptions& options, comm::World& world);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_TRAINING_RUN_H_
