// Saves the training state every so many steps, when the run is asked to stop, and at the end. What
// is due between is written while training goes on.
#ifndef TANREN_TRAINER_LOOP_CHECKPOINTING_H_
#define TANREN_TRAINER_LOOP_CHECKPOINTING_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "parallel/checkpoint/background_save.h"
#include "parallel/checkpoint/checkpoint.h"
#include "trainer/loop/callback.h"
#include "trainer/loop/training_loop.h"

namespace tanren::trainer {

struct CheckpointingOptions {
  std::filesystem::path folder;  // <run>/checkpoints
  int64_t every_steps = 0;       // 0: only when the run stops or ends
  bool in_background = true;
  // A save that is due while the one before is being written: is left out, or waits for it.
  bool skip_when_busy = false;
  // A save that fails while training goes on (a full disk) is a warning; the last one is an error.
  bool go_on_after_failure = false;
  parallel::SaveOptions save;
  std::string recipe_digest;  // kept in the checkpoint
};

struct PublishedCheckpoint {
  int64_t step = 0;
  std::filesystem::path path;
  double seconds = 0;         // from its beginning
  double waited_seconds = 0;  // of these, training stood still
};

// Told of each checkpoint once it is published.
using CheckpointListener = std::function<void(const PublishedCheckpoint& checkpoint)>;

class Checkpointing final : public Callback {
 public:
  Checkpointing(TrainingParts parts, CheckpointingOptions options, CheckpointListener published);
  void BeforeUpdate() override;
  // The metric "validation_loss", where an earlier callback added it to the step and it is finite,
  // is what keep-best goes by.
  void StepFinished(StepReport& report) override;

 private:
  using Clock = std::chrono::steady_clock;

  void Start(const StepReport& report);
  // Goes on with the pending one: to its end, or as far as every rank is ready to. A collective.
  void Advance(bool to_the_end, bool must_succeed);
  bool AllReady() const;

  TrainingParts parts_;
  CheckpointingOptions options_;
  CheckpointListener published_;
  std::unique_ptr<parallel::BackgroundSave> pending_;
  Clock::time_point started_;  // of the pending one
  double waited_seconds_ = 0;  // for the pending one
};

// Continues from the checkpoint at `path`: parameters, optimizer, scaler and the data's cursor.
// Returns how many steps it has done. A collective.
absl::StatusOr<int64_t> Restore(const std::filesystem::path& path, TrainingParts parts);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_CHECKPOINTING_H_
