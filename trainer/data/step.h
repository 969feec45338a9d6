// One step's documents laid into rows, and a rank's share of them as batches.
#ifndef TANREN_TRAINER_DATA_STEP_H_
#define TANREN_TRAINER_DATA_STEP_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/data/batch_source.h"
#include "trainer/data/document_stream.h"
#include "trainer/data/packing.h"

namespace tanren::trainer {

struct StepShape {
  int world_size = 1;
  int rank = 0;
  int64_t batch_rows = 8;        // of a step, over all ranks
  int64_t micro_batch_rows = 1;  // at most, of a micro-batch of one rank
  int64_t sequence_length = 1024;
  bool packing = true;  // documents share rows
};

// kInvalidArgument unless the ranks divide batch_rows; it names values that work.
absl::Status CheckShape(const StepShape& shape);

// The documents of a step, in the stream's order, and the rows, which hold indices into them.
struct StepPlan {
  std::vector<StreamDocument> documents;
  std::vector<Row> rows;

  int64_t tokens() const;
  double target_weight() const;
};

// Takes documents from the stream until one has no place; the stream stands before that one then.
// nullopt at the stream's end. `look_ahead`, if given, keeps that document's tokens for the next
// call with it.
absl::StatusOr<std::optional<StepPlan>> PlanStep(const StepShape& shape, DocumentStream* stream,
                                                 std::optional<StreamDocument>* look_ahead);

// This rank's micro-batches. Micro-batches that are empty on all ranks are left out. Reads from the
// corpus what the plan doesn't hold, this rank's documents only.
absl::StatusOr<StepBatches> MakeStep(const StepShape& shape, StepPlan plan, Corpus* corpus);

struct StepTotals {
  int64_t steps = 0;
  int64_t documents = 0;
  int64_t tokens = 0;
  double target_weight = 0;
};

// Plans all steps up to the end of a stream that ends.
absl::StatusOr<StepTotals> CountSteps(const StepShape& shape, DocumentStream stream);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_STEP_H_
