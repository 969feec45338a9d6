// The folder of a run's checkpoints: `step-00000020` for each, and the file `latest`, which names
// the one that was published last. A checkpoint is made under another name and renamed when it is
// whole; what a killed writer leaves has names that readers don't see.
#ifndef TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_FOLDER_H_
#define TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/checkpoint/disk_hook.h"
#include "parallel/checkpoint/retention.h"

namespace tanren::parallel {

struct CheckpointEntry {
  int64_t step = 0;
  std::filesystem::path path;
};

// Whole checkpoints, ascending by step. None where there is no folder.
absl::StatusOr<std::vector<CheckpointEntry>> ListCheckpoints(const std::filesystem::path& folder);

// The one that `latest` names; the one of the highest step where that isn't there.
absl::StatusOr<std::optional<std::filesystem::path>> LatestCheckpoint(
    const std::filesystem::path& folder);

// "step-00000020"
std::string CheckpointName(int64_t step);

// For the one rank that writes to the folder itself:

// Removes what writers before left, makes a folder to write the step's checkpoint into, and returns
// its path.
absl::StatusOr<std::filesystem::path> MakeIncoming(const std::filesystem::path& folder,
                                                   int64_t step, const DiskHook& hook);
// Gives `incoming`, which is whole, its name, in the place of an older checkpoint of the same step
// if there is one, and makes it the latest.
absl::Status Publish(const std::filesystem::path& incoming, const std::filesystem::path& folder,
                     int64_t step, const DiskHook& hook);
// Deletes what `policy` doesn't keep, with `latest` as the latest step, and leftovers. A reader
// never sees a checkpoint in part.
absl::Status Prune(const std::filesystem::path& folder, int64_t latest,
                   const RetentionPolicy& policy, const DiskHook& hook);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_FOLDER_H_
