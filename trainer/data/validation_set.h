// Held-out documents, for the loss that training doesn't see.
#ifndef TANREN_TRAINER_DATA_VALIDATION_SET_H_
#define TANREN_TRAINER_DATA_VALIDATION_SET_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/data/corpus.h"
#include "trainer/data/step.h"

namespace tanren::trainer {

// A fixed list of documents. Which ones, and the sum of their weights, are the same on any number
// of ranks; the steps in which they are gone through are not.
class ValidationSet {
 public:
  // The documents of `rows`, of which at most `max_documents` (0: all), drawn by the seed where
  // that is fewer. shape.batch_rows is not used: a step is one micro-batch on each rank. Keeps this
  // rank's documents in memory. kInvalidArgument if there is no document.
  static absl::StatusOr<std::unique_ptr<ValidationSet>> Make(Corpus* corpus,
                                                             std::vector<uint64_t> rows,
                                                             int64_t max_documents, uint64_t seed,
                                                             StepShape shape);

  size_t step_count() const { return steps_.size(); }
  // As long on every rank. Requires step < step_count().
  const StepBatches& step(size_t step) const { return steps_.at(step); }

  // Of all steps and ranks.
  int64_t documents() const { return documents_; }
  int64_t tokens() const { return tokens_; }
  double target_weight() const { return target_weight_; }

 private:
  ValidationSet() = default;
  std::vector<StepBatches> steps_;
  int64_t documents_ = 0;
  int64_t tokens_ = 0;
  double target_weight_ = 0;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_VALIDATION_SET_H_
