// When a job that has no reservation may start.
#ifndef TANREN_COORDINATOR_STATE_EXPLAIN_ESTIMATE_H_
#define TANREN_COORDINATOR_STATE_EXPLAIN_ESTIMATE_H_

#include <cstdint>
#include <vector>

#include "coordinator/state/schedule.h"

namespace tanren::coordinator {

struct StartEstimate {
  int64_t start_ms = 0;  // wall; 0: not known
  // Those without a time limit that it may have to wait for, where that is why.
  std::vector<uint64_t> endless;
};

// Serves the queue strictly in order as what runs reaches its time limits. Backfill may be faster.
StartEstimate EstimateStart(const Cluster& cluster, const ScheduleOptions& options, Now now,
                            const Job& job, bool arriving);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_EXPLAIN_ESTIMATE_H_
