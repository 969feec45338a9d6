// Where the training loop gets its steps from. A data set and a rollout are both such sources; the
// loop can't tell them apart.
#ifndef TANREN_TRAINER_DATA_BATCH_SOURCE_H_
#define TANREN_TRAINER_DATA_BATCH_SOURCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/data/batch.h"

namespace tanren::trainer {

// One optimizer step, as one rank sees it.
struct StepBatches {
  // This rank's. Every rank has equally many, for each goes through the same collectives; where a
  // rank has no document for one, it holds a single token of weight 0.
  std::vector<Batch> micro_batches;
  // Of the whole step, over all ranks. Every rank knows them without asking.
  double target_weight = 0;
  int64_t tokens = 0;
  int64_t documents = 0;
  // Passes over the data, to the end of this step; 0 where there is no such thing.
  double epochs = 0;
};

// Used by one thread at a time.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  // The next step; nullopt after the last one. After an error the source isn't used again.
  virtual absl::StatusOr<std::optional<StepBatches>> Next() = 0;

  // The place behind the last step that Next() gave, for checkpoints: text that Restore() takes, on
  // any number of ranks. The same on every rank.
  virtual std::string cursor() const = 0;
  virtual absl::Status Restore(std::string_view cursor) = 0;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_BATCH_SOURCE_H_
