// What a training does around its steps: evaluation, records, answers, checkpoints.
#ifndef TANREN_TRAINER_TRAINING_CALLBACKS_H_
#define TANREN_TRAINER_TRAINING_CALLBACKS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"
#include "runtime/comm/world.h"
#include "runtime/telemetry/event_log.h"
#include "trainer/data/training_data.h"
#include "trainer/loop/callback.h"
#include "trainer/loop/run_folder.h"
#include "trainer/loop/sampling.h"
#include "trainer/loop/training_loop.h"
#include "trainer/model/pretrained.h"

namespace tanren::trainer {

// What the references and pointers name must outlive the callbacks.
struct CallbackParts {
  const Recipe& recipe;
  const RunFolder& folder;
  comm::World& world;
  TrainingParts training;
  TrainingData& data;
  const PretrainedModel& model;
  at::ScalarType compute_type = at::kFloat;
  std::optional<SamplingQuestions> questions;
  EventLog* events = nullptr;              // on the first rank, which alone writes records
  std::function<void(int64_t)> published;  // the step of each checkpoint, on the first rank
};

// In the order that the loop calls them in. A collective.
absl::StatusOr<std::vector<std::unique_ptr<Callback>>> MakeCallbacks(CallbackParts parts);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_TRAINING_CALLBACKS_H_
