// The first thing that a coordinator does with a history that is new, or a copy of the past.
#ifndef TANREN_COORDINATOR_SERVER_BEGIN_EPOCH_H_
#define TANREN_COORDINATOR_SERVER_BEGIN_EPOCH_H_

#include "absl/status/status.h"
#include "coordinator/state/cluster.h"
#include "coordinator/store/store.h"

namespace tanren::coordinator {

// Where the store needs a new epoch: begins it, in `store` and in `cluster`, which is what the
// store's records add up to. What ran before is fenced, and no epoch or job id comes again
// (epoch.h). OK, and nothing changes, where it needs none.
absl::Status BeginEpochIfNeeded(Store& store, Cluster& cluster, Now now);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_BEGIN_EPOCH_H_
