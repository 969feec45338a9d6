#include "trainer/data/step_source.h"

#include "runtime/base/error.h"

namespace tanren::trainer {

absl::StatusOr<std::optional<StepBatches>> StepSource::Next() {
  TANREN_ASSIGN_OR_RETURN(std::optional<StepPlan> plan, PlanStep(shape_, &stream_, &look_ahead_));
  if (!plan) return std::nullopt;
  TANREN_ASSIGN_OR_RETURN(StepBatches step, MakeStep(shape_, *std::move(plan), corpus_));
  step.epochs = stream_.epochs_passed();
  return step;
}

absl::Status StepSource::Restore(std::string_view cursor) {
  look_ahead_.reset();
  return stream_.Restore(cursor);
}

PrefetchingSource::~PrefetchingSource() {
  if (next_.valid()) next_.wait();
}

void PrefetchingSource::Start() {
  next_ = std::async(std::launch::async, [this] {
    Prepared prepared{.step = source_->Next(), .cursor = {}};
    prepared.cursor = source_->cursor();
    return prepared;
  });
}

absl::StatusOr<std::optional<StepBatches>> PrefetchingSource::Next() {
  if (!next_.valid()) Start();
  Prepared prepared = next_.get();
  TANREN_RETURN_IF_ERROR(prepared.step.status());
  cursor_ = std::move(prepared.cursor);
  if (prepared.step->has_value()) Start();
  return std::move(prepared.step);
}

absl::Status PrefetchingSource::Restore(std::string_view cursor) {
  if (next_.valid()) {
    // What it holds is of the place that is left, be it an error.
    try {
      next_.get();
    } catch (const std::exception&) {
    }
  }
  TANREN_RETURN_IF_ERROR(source_->Restore(cursor));
  cursor_ = source_->cursor();
  return absl::OkStatus();
}

}  // namespace tanren::trainer
