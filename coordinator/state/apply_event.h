// The parts of Apply, by what an event is about. Each checks that the event is legal, changes the
// cluster only if it is, and names the records that changed.
#ifndef TANREN_COORDINATOR_STATE_APPLY_EVENT_H_
#define TANREN_COORDINATOR_STATE_APPLY_EVENT_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/state/cluster.h"
#include "coordinator/state/records.h"

namespace tanren::coordinator {

struct EventContext {
  const HistoryEvent& event;
  Cluster& cluster;
  std::set<RecordName>& names;
};

absl::Status ApplyJobEvent(const EventContext& context);
absl::Status ApplyAttemptEvent(const EventContext& context);
absl::Status ApplyNodeEvent(const EventContext& context);

// kInternal: there is no such job, or it has ended.
absl::StatusOr<Job*> LivingJob(uint64_t id, Cluster& cluster);
// kInternal: the token isn't that of a job's present attempt, which holds nodes.
absl::StatusOr<Job*> JobOfToken(const AttemptToken& token, Cluster& cluster);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_APPLY_EVENT_H_
