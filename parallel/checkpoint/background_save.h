// A checkpoint that is written while training goes on. Nothing is copied: parameters and optimizer
// state change only where the optimizer steps, so a thread writes them while the next step computes
// its gradients, and the optimizer waits for what has not been read by then.
#ifndef TANREN_PARALLEL_CHECKPOINT_BACKGROUND_SAVE_H_
#define TANREN_PARALLEL_CHECKPOINT_BACKGROUND_SAVE_H_

#include <cstdint>
#include <filesystem>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/checkpoint/checkpoint.h"

namespace tanren::parallel {

class BackgroundSave {
 public:
  // A collective, with the arguments and errors of SaveCheckpoint; returns once the thread has
  // begun. `world` and what it holds must outlive this. On a GPU the shards are copied to the host
  // before this returns.
  static absl::StatusOr<std::unique_ptr<BackgroundSave>> Start(
      const std::filesystem::path& folder, comm::Communicator& world, const Engine& engine,
      Optimizer& optimizer, const LossScaler* scaler, const CheckpointMeta& meta,
      const SaveOptions& options);
  // Waits for the thread. What was not published is as if it had not been begun.
  ~BackgroundSave();
  BackgroundSave(const BackgroundSave&) = delete;
  BackgroundSave& operator=(const BackgroundSave&) = delete;

  // Returns when parameters and optimizer state may change. No other rank takes part.
  void WaitUntilRead();
  // Whether Advance would find this rank's part done. No other rank takes part.
  bool Ready() const;
  // A collective; waits for every rank's part. First the ranks tell each other what they wrote, and
  // rank 0 begins to describe it, to give the checkpoint its name and to prune older ones; then
  // they learn how that ended. Returns whether the checkpoint is published, or the error of any
  // rank, after which there is nothing more to be done.
  absl::StatusOr<bool> Advance();
  int64_t step() const;

  // A collective: Advance to the end.
  absl::Status Publish();

 private:
  struct Parts;
  explicit BackgroundSave(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_BACKGROUND_SAVE_H_
