// Why a job waits that finds no room: never, not on the nodes that take work, not in one piece, or
// not yet.
#ifndef TANREN_COORDINATOR_STATE_EXPLAIN_ROOM_H_
#define TANREN_COORDINATOR_STATE_EXPLAIN_ROOM_H_

#include "coordinator/state/schedule.h"
#include "coordinator/state/schedule_pass.h"

namespace tanren::coordinator {

// `pass` has run, and `job` was observed in it and didn't start for want of room. `arriving`: it
// isn't in the cluster yet.
Explanation ExplainRoom(const Cluster& cluster, const ScheduleOptions& options, Now now,
                        const Job& job, bool arriving, Pass& pass);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_EXPLAIN_ROOM_H_
