// Which checkpoints are deleted after one was published. Pure.
#ifndef TANREN_PARALLEL_CHECKPOINT_RETENTION_H_
#define TANREN_PARALLEL_CHECKPOINT_RETENTION_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace tanren::parallel {

struct RetentionPolicy {
  int keep_last = 0;            // how many of the latest stay; 0: all
  int keep_best = 0;            // how many of those with the best metric stay besides
  bool lower_is_better = true;  // of the metric
};

struct RetainedStep {
  int64_t step = 0;
  std::optional<double> metric;  // none (or NaN): never among the best
};

// The steps to delete, ascending. Never `latest`. Steps after `latest` are of a run that went back
// to an earlier checkpoint: they count as neither latest nor best. Of equal metrics the later step
// is better.
std::vector<int64_t> StepsToDelete(std::vector<RetainedStep> steps, int64_t latest,
                                   const RetentionPolicy& policy);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_RETENTION_H_
