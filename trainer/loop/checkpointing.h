// Saves the training state every so many steps, when the run is asked to stop, and at the end.
#ifndef TANREN_TRAINER_LOOP_CHECKPOINTING_H_
#define TANREN_TRAINER_LOOP_CHECKPOINTING_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "parallel/checkpoint/checkpoint.h"
#include "trainer/loop/callback.h"
#include "trainer/loop/training_loop.h"

namespace tanren::trainer {

struct CheckpointingOptions {
  std::filesystem::path folder;  // <run>/checkpoints
  int64_t every_steps = 0;       // 0: only when the run stops or ends
  parallel::SaveOptions save;
  std::string recipe_digest;  // kept in the checkpoint
};

// Told of each checkpoint once it is published: its step, folder and the seconds it took.
using CheckpointListener =
    std::function<void(int64_t step, const std::filesystem::path& path, double seconds)>;

class Checkpointing final : public Callback {
 public:
  Checkpointing(TrainingParts parts, CheckpointingOptions options, CheckpointListener published);
  // The metric "validation_loss", where an earlier callback added it to the step and it is finite,
  // is what keep-best goes by.
  void StepFinished(StepReport& report) override;

 private:
  TrainingParts parts_;
  CheckpointingOptions options_;
  CheckpointListener published_;
};

// Continues from the checkpoint at `path`: parameters, optimizer, scaler and the data's cursor.
// Returns how many steps it has done. A collective.
absl::StatusOr<int64_t> Restore(const std::filesystem::path& path, TrainingParts parts);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_CHECKPOINTING_H_
