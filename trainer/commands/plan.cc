// plan: what a training would take of memory, before it takes any.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/gpu_probe.h"
#include "runtime/base/machine.h"
#include "runtime/config/recipe_file.h"
#include "trainer/commands/commands.h"
#include "trainer/data/step.h"
#include "trainer/memory_check.h"
#include "trainer/model/pretrained.h"
#include "trainer/recipe_parts.h"

namespace tanren::trainer {
namespace {

struct Arguments {
  std::string recipe;
  std::vector<std::string> overrides;
  int ranks = 1;
  int ranks_on_host = 0;
};

bool TrainsOnGpus(const Recipe& recipe) {
  return recipe.parallel().backend() != ParallelRecipe::MPI && !ProbeGpus().gpus.empty();
}

absl::StatusOr<int> Plan(const Arguments& arguments) {
  TANREN_ASSIGN_OR_RETURN(const Recipe recipe, LoadRecipe(arguments.recipe, arguments.overrides));
  const int on_host = arguments.ranks_on_host > 0 ? arguments.ranks_on_host : arguments.ranks;
  const RanksToPlan ranks{arguments.ranks, std::min(arguments.ranks, on_host)};
  StepShape shape;
  shape.world_size = ranks.world_size;
  shape.batch_rows = recipe.training().batch_rows();
  TANREN_RETURN_IF_ERROR(CheckShape(shape));
  TANREN_ASSIGN_OR_RETURN(const PretrainedModel model,
                          OpenPretrained(ModelPathsOf(recipe.model())));
  const bool on_gpus = TrainsOnGpus(recipe);
  const at::ScalarType compute_type =
      ComputeTypeOf(recipe.training().precision(), on_gpus ? at::Device(at::kCUDA, 0) : at::kCPU);
  const MemoryPlan plan =
      PlanMemory(recipe, model.config, model.model, compute_type, ranks.world_size);
  fmt::print("{}", RenderMemoryPlan(plan, recipe, model.model, ranks));
  if (on_gpus) {
    fmt::print("\nOn GPUs this is an estimate, which nothing is compared with.\n");
    return 0;
  }
  const uint64_t available = AvailableMemoryNow();
  fmt::print("  {:<20} {:>9.2f} GB   of memory, on this machine\n", "available",
             static_cast<double>(available) / 1e9);
  TANREN_RETURN_IF_ERROR(
      CheckMemory(recipe, model.config, model.model, compute_type, ranks, available));
  return 0;
}

}  // namespace

void AddPlan(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "plan", "How much memory a training takes on each rank, by kind, and whether it is there");
  command->add_option("recipe", arguments->recipe, "A YAML file")->required();
  command->add_option("--set", arguments->overrides, "Overrides a setting of the recipe");
  command->add_option("--ranks", arguments->ranks, "How many ranks train")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--ranks-on-host", arguments->ranks_on_host,
                   "How many of them share a machine; default: all")
      ->check(CLI::PositiveNumber);
  command->callback([=, &action] { action = [=] { return Plan(*arguments); }; });
}

}  // namespace tanren::trainer
