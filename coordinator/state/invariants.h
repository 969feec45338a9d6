// What holds of every cluster at every moment: for tests and simulation.
#ifndef TANREN_COORDINATOR_STATE_INVARIANTS_H_
#define TANREN_COORDINATOR_STATE_INVARIANTS_H_

#include "absl/status/status.h"
#include "coordinator/state/cluster.h"

namespace tanren::coordinator {

// kInternal says what is wrong: an index that doesn't follow from the records, a GPU held twice, a
// node that gives more than it has, an attempt that doesn't go with its job's state, an id that was
// not given yet. Reads everything.
absl::Status CheckCluster(const Cluster& cluster);

// Whether `after` may follow `before`: no job is lost but one that had ended, what has ended stays
// as it is, ids, attempts and epochs only grow, checkpoints don't go back.
absl::Status CheckFollows(const Cluster& before, const Cluster& after);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_INVARIANTS_H_
