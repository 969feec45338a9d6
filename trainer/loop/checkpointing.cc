#include "trainer/loop/checkpointing.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "parallel/checkpoint/checkpoint_folder.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/kernels/device_copy.h"

namespace tanren::trainer {
namespace {

constexpr char kCursor[] = "cursor";
constexpr char kRecipeDigest[] = "recipe_digest";

// Adds the seconds that it lives to a sum.
class WaitTimer {
 public:
  explicit WaitTimer(double& sum) : sum_(sum), start_(std::chrono::steady_clock::now()) {}
  ~WaitTimer() {
    sum_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double& sum_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace

Checkpointing::Checkpointing(TrainingParts parts, CheckpointingOptions options,
                             CheckpointListener published)
    : parts_(parts), options_(std::move(options)), published_(std::move(published)) {}

void Checkpointing::BeforeUpdate() {
  if (pending_ == nullptr) return;
  {
    const WaitTimer timer(waited_seconds_);
    pending_->WaitUntilRead();
  }
  Advance(/*to_the_end=*/false, /*must_succeed=*/false);
}

void Checkpointing::StepFinished(StepReport& report) {
  const bool ends = report.is_last || report.stop_requested;
  const bool due = ends || (options_.every_steps > 0 && report.step % options_.every_steps == 0);
  if (pending_ != nullptr) {
    const bool waits = due && (ends || !options_.skip_when_busy);
    Advance(/*to_the_end=*/waits, /*must_succeed=*/false);
  }
  if (!due) return;
  if (pending_ != nullptr) {
    LogWarning("no checkpoint at step {}: that of step {} is still being written", report.step,
               pending_->step());
    return;
  }
  Start(report);
  if (ends || !options_.in_background) Advance(/*to_the_end=*/true, /*must_succeed=*/ends);
}

void Checkpointing::Start(const StepReport& report) {
  started_ = Clock::now();
  waited_seconds_ = 0;
  const WaitTimer timer(waited_seconds_);
  parallel::CheckpointMeta meta;
  meta.step = report.step;
  if (const auto found = report.metrics.find("validation_loss");
      found != report.metrics.end() && std::isfinite(found->second)) {
    meta.metric = found->second;
  }
  meta.extra = {{kCursor, report.cursor}, {kRecipeDigest, options_.recipe_digest}};
  pending_ = ValueOrThrow(parallel::BackgroundSave::Start(options_.folder, parts_.ranks,
                                                          parts_.engine, parts_.optimizer,
                                                          parts_.scaler, meta, options_.save));
}

bool Checkpointing::AllReady() const {
  const at::Tensor ready = at::full({1}, pending_->Ready() ? 1 : 0,
                                    at::device(parts_.ranks.device_type()).dtype(at::kInt));
  parts_.ranks.AllReduce(ready, comm::ReduceOp::kMin, "checkpoint written")->Wait();
  // A wait for the device, in each step while a checkpoint is being written.
  return kernels::ToHost(ready).item<int>() == 1;
}

void Checkpointing::Advance(bool to_the_end, bool must_succeed) {
  absl::StatusOr<bool> published = false;
  {
    const WaitTimer timer(waited_seconds_);
    while (published.ok() && !*published && (to_the_end || AllReady())) {
      published = pending_->Advance();
    }
  }
  if (published.ok() && !*published) return;
  const int64_t step = std::exchange(pending_, nullptr)->step();
  if (!published.ok() && options_.go_on_after_failure && !must_succeed) {
    LogWarning("no checkpoint at step {}: {}", step, std::string(published.status().message()));
    return;
  }
  ThrowIfError(published.status());
  if (!published_) return;
  published_({step, options_.folder / parallel::CheckpointName(step),
              std::chrono::duration<double>(Clock::now() - started_).count(), waited_seconds_});
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
