#include "trainer/world_options.h"

#include <chrono>

namespace tanren::trainer {

comm::WorldOptions WorldOptionsOf(const TrainingRunOptions& options) {
  const ParallelRecipe& parallel = options.recipe.parallel();
  comm::WorldOptions world;
  switch (parallel.backend()) {
    case ParallelRecipe::AUTO:
      world.backend = comm::Backend::kAuto;
      break;
    case ParallelRecipe::MPI:
      world.backend = comm::Backend::kMpi;
      break;
    case ParallelRecipe::NCCL:
      world.backend = comm::Backend::kNccl;
      break;
  }
  world.progress_thread = parallel.progress_thread();
  world.verify = parallel.verify_calls();
  world.run_folder = options.run;
  world.collective_timeout =
      std::chrono::milliseconds(static_cast<int64_t>(parallel.timeout_seconds() * 1000));
  return world;
}

}  // namespace tanren::trainer
