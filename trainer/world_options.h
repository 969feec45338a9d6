// The ranks that a run takes.
#ifndef TANREN_TRAINER_WORLD_OPTIONS_H_
#define TANREN_TRAINER_WORLD_OPTIONS_H_

#include "runtime/comm/world.h"
#include "trainer/training_run.h"

namespace tanren::trainer {

// The world of the recipe's `parallel` section, whose flight records go to the run's folder.
comm::WorldOptions WorldOptionsOf(const TrainingRunOptions& options);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_WORLD_OPTIONS_H_
