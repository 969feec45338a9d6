// A second copy of the cluster, for those who ask about scheduling: it follows the durable history
// on another thread than the core's.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULING_COPY_H_
#define TANREN_COORDINATOR_STATE_SCHEDULING_COPY_H_

#include "absl/status/status.h"
#include "coordinator/state/cluster.h"

namespace tanren::coordinator {

// Explanations of it are those of the cluster that it follows. Of ended jobs it keeps no more than
// others' dependencies and explanations need, and of requests nothing.
class SchedulingCopy {
 public:
  SchedulingCopy() = default;
  explicit SchedulingCopy(const Cluster& cluster);

  // kInternal: the event doesn't follow; the copy is as it was, and must be made anew.
  absl::Status Follow(const HistoryEvent& event);

  const Cluster& cluster() const { return cluster_; }

 private:
  Cluster cluster_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULING_COPY_H_
