#include "coordinator/state/schedule.h"

#include "coordinator/state/schedule_pass.h"

namespace tanren::coordinator {

Plan Schedule(const Cluster& cluster, const ScheduleOptions& options, Now now) {
  if (cluster.pending.empty()) return {};
  Pass pass(cluster, options, now, nullptr, false);
  pass.Run();
  return pass.TakePlan();
}

}  // namespace tanren::coordinator
