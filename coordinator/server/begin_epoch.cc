#include "coordinator/server/begin_epoch.h"

#include <vector>

#include "coordinator/state/core.h"
#include "coordinator/store/epoch.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {

absl::Status BeginEpochIfNeeded(Store& store, Cluster& cluster, Now now) {
  if (!store.needs_new_epoch()) return absl::OkStatus();
  TANREN_ASSIGN_OR_RETURN(const std::vector<HistoryEvent> last,
                          store.Events(store.last_sequence(), 1));
  const int64_t last_event_ms = last.empty() ? 0 : last.back().time_ms();
  const NextEpoch next = EpochAfter(cluster.epoch, cluster.next_job, last_event_ms, now.wall_ms);
  if (cluster.epoch != 0) {
    LogWarning("epoch {} begins after epoch {}, and jobs are numbered on from {}", next.epoch,
               cluster.epoch, next.next_job);
  }
  Commit commit;
  commit.events.push_back(EpochEvent(cluster, next.epoch, next.next_job, now));
  TANREN_RETURN_IF_ERROR(Apply(commit.events.back(), cluster, &commit.records));
  return store.Write(commit);
}

}  // namespace tanren::coordinator
