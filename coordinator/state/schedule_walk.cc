#include "coordinator/state/schedule_walk.h"

namespace tanren::coordinator {

JobList JobsOf(const Cluster& cluster, const std::set<uint64_t>& ids) {
  // Beyond so many others a search is faster.
  constexpr int kSteps = 6;
  JobList jobs;
  jobs.reserve(ids.size());
  auto next = cluster.jobs.begin();
  for (uint64_t id : ids) {
    for (int steps = 0; steps < kSteps && next != cluster.jobs.end() && next->first < id; ++steps) {
      ++next;
    }
    if (next == cluster.jobs.end() || next->first != id) next = cluster.jobs.find(id);
    jobs.push_back(&next->second);
  }
  return jobs;
}

}  // namespace tanren::coordinator
