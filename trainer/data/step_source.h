// A data set as the source of steps.
#ifndef TANREN_TRAINER_DATA_STEP_SOURCE_H_
#define TANREN_TRAINER_DATA_STEP_SOURCE_H_

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "trainer/data/batch_source.h"
#include "trainer/data/step.h"

namespace tanren::trainer {

// The documents of a step are the next ones of the stream, laid into batch_rows rows: the same on
// any number of ranks and with any micro-batches. The corpus has to outlive the source.
class StepSource final : public BatchSource {
 public:
  // Requires that CheckShape(shape) is OK.
  StepSource(const StepShape& shape, DocumentStream stream, Corpus* corpus)
      : shape_(shape), stream_(std::move(stream)), corpus_(corpus) {}

  absl::StatusOr<std::optional<StepBatches>> Next() override;
  std::string cursor() const override { return stream_.cursor(); }
  absl::Status Restore(std::string_view cursor) override;

 private:
  StepShape shape_;
  DocumentStream stream_;
  Corpus* corpus_;
  std::optional<StreamDocument> look_ahead_;
};

// Prepares the next step of another source on a thread of its own while this one's is in use. The
// cursor is that of the steps given out, not of the one in preparation.
class PrefetchingSource final : public BatchSource {
 public:
  explicit PrefetchingSource(std::unique_ptr<BatchSource> source)
      : source_(std::move(source)), cursor_(source_->cursor()) {}
  ~PrefetchingSource() override;

  absl::StatusOr<std::optional<StepBatches>> Next() override;
  std::string cursor() const override { return cursor_; }
  absl::Status Restore(std::string_view cursor) override;

 private:
  struct Prepared {
    absl::StatusOr<std::optional<StepBatches>> step;
    std::string cursor;  // behind it
  };
  void Start();

  std::unique_ptr<BatchSource> source_;
  std::string cursor_;
  std::future<Prepared> next_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_STEP_SOURCE_H_
