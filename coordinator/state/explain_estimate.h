// When a job that has no reservation may start.
#ifndef TANREN_COORDINATOR_STATE_EXPLAIN_ESTIMATE_H_
#define TANREN_COORDINATOR_STATE_EXPLAIN_ESTIMATE_H_

#include <cstdint>

#include "coordinator/state/schedule.h"

namespace tanren::coordinator {

// Serves the queue strictly in order as what runs reaches its time limits; wall ms, 0: not known,
// because something before it has no limit or too much is before it. Backfill may be faster.
int64_t EstimateStart(const Cluster& cluster, const ScheduleOptions& options, Now now,
                      const Job& job, bool arriving);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_EXPLAIN_ESTIMATE_H_
