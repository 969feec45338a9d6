#include "coordinator/state/schedule.h"

#include "coordinator/state/schedule_pass.h"

namespace tanren::coordinator {

Plan Schedule(const Cluster& cluster, const ScheduleOptions& options, Now now) {
  if (cluster.pending.empty()) return {};
  return Pass(cluster, options, now, nullptr, false).Run();
}

}  // namespace tanren::coordinator
