#include "trainer/loop/checkpointing.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "parallel/checkpoint/checkpoint_folder.h"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

constexpr char kCursor[] = "cursor";
constexpr char kRecipeDigest[] = "recipe_digest";

}  // namespace

Checkpointing::Checkpointing(TrainingParts parts, CheckpointingOptions options,
                             CheckpointListener published)
    : parts_(parts), options_(std::move(options)), published_(std::move(published)) {}

void Checkpointing::StepFinished(StepReport& report) {
  const bool due = options_.every_steps > 0 && report.step % options_.every_steps == 0;
  if (!due && !report.is_last && !report.stop_requested) return;

  const auto start = std::chrono::steady_clock::now();
  parallel::CheckpointMeta meta;
  meta.step = report.step;
  if (const auto found = report.metrics.find("validation_loss");
      found != report.metrics.end() && std::isfinite(found->second)) {
    meta.metric = found->second;
  }
  meta.extra = {{kCursor, report.cursor}, {kRecipeDigest, options_.recipe_digest}};
  ThrowIfError(parallel::SaveCheckpoint(options_.folder, parts_.ranks, parts_.engine,
                                        parts_.optimizer, parts_.scaler, meta, options_.save));
  if (!published_) return;
  published_(report.step, options_.folder / parallel::CheckpointName(report.step),
             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

absl::StatusOr<int64_t> Restore(const std::filesystem::path& path, TrainingParts parts) {
  TANREN_ASSIGN_OR_RETURN(
      const parallel::CheckpointMeta meta,
      parallel::LoadCheckpoint(path, parts.ranks, parts.engine, parts.optimizer, parts.scaler));
  const auto cursor = meta.extra.find(kCursor);
  if (cursor == meta.extra.end()) {
    return absl::DataLossError(fmt::format("{}: has no data cursor", path.string()));
  }
  TANREN_RETURN_IF_ERROR(Annotate(parts.source.Restore(cursor->second), path.string()));
  return meta.step;
}

}  // namespace tanren::trainer
