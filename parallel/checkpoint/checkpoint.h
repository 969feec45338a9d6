// Saves and resumes a training state on any number of ranks. A checkpoint is whole or absent: all
// ranks write and flush into a folder that no reader sees; when all are done, rank 0 describes it,
// gives it its name and makes it the latest. Killed at any point, the checkpoint before loads.
//
//   <run>/checkpoints/latest                           "step-00000020"
//   <run>/checkpoints/step-00000020/manifest.json      see manifest.h
//                                   index.json
//                                   rank-0000-of-0002.tanren, …
//
// Collectives: every rank calls them, and file errors are returned alike on each. Failures of
// communication are thrown as tanren::Error.
#ifndef TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_H_
#define TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_H_

#include <filesystem>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/checkpoint/disk_hook.h"
#include "parallel/checkpoint/manifest.h"
#include "parallel/checkpoint/retention.h"
#include "parallel/engine/engine.h"
#include "parallel/optimizer/loss_scaler.h"
#include "parallel/optimizer/optimizer.h"
#include "runtime/comm/communicator.h"

namespace tanren::parallel {

struct SaveOptions {
  RetentionPolicy retention;
  // False where frozen values are loaded from elsewhere before the checkpoint is: an adapter's
  // checkpoint without its base.
  bool store_frozen = true;
  DiskHook before_disk_operation;  // for tests
};

// Between steps. `folder` is <run>/checkpoints; `optimizer` is over engine.TrainableShards();
// `scaler` may be null. `world` may hold several replicas of the engine's shard axis: the first one
// writes. Of `meta`, rank 0's counts. On an error the checkpoints before are as they were. A
// checkpoint of the same step is replaced.
absl::Status SaveCheckpoint(const std::filesystem::path& folder, comm::Communicator& world,
                            const Engine& engine, Optimizer& optimizer, const LossScaler* scaler,
                            const CheckpointMeta& meta, const SaveOptions& options = {});

// Sets parameters, optimizer state and `scaler` (may be null) from the checkpoint in folder `path`,
// which must hold exactly the tensors that engine and optimizer have (but for frozen ones where
// they weren't stored, which stay as they are). Tensors that differ are an error before anything is
// changed; after any other error parameters and state are undefined.
absl::StatusOr<CheckpointMeta> LoadCheckpoint(const std::filesystem::path& path,
                                              comm::Communicator& world, Engine& engine,
                                              Optimizer& optimizer, LossScaler* scaler);

// Parameters alone, whether they were trained or frozen, for use without training. Errors as above.
// To read a checkpoint's weights without an engine, see checkpoint_reader.h.
absl::StatusOr<CheckpointMeta> LoadWeights(const std::filesystem::path& path,
                                           comm::Communicator& world, Engine& engine);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_H_
