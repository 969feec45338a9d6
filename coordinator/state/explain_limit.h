// Why a job waits that would break a quota or its array's bound.
#ifndef TANREN_COORDINATOR_STATE_EXPLAIN_LIMIT_H_
#define TANREN_COORDINATOR_STATE_EXPLAIN_LIMIT_H_

#include "coordinator/state/cluster.h"
#include "coordinator/state/schedule_limits.h"
#include "coordinator/state/schedule_walk.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// `holding`: the jobs that hold nodes.
Explanation ExplainLimit(const JobList& holding, const Job& job, const LimitBroken& limit);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_EXPLAIN_LIMIT_H_
