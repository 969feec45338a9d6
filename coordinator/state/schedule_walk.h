// Reads a cluster's jobs by ascending ids, faster than each by itself.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_WALK_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_WALK_H_

#include <cstdint>

#include "coordinator/state/cluster.h"

namespace tanren::coordinator {

class JobWalk {
 public:
  explicit JobWalk(const Cluster& cluster) : jobs_(cluster.jobs), next_(jobs_.begin()) {}

  // `id` is of a job that there is, and greater than the one before.
  const Job& operator()(uint64_t id) {
    for (int steps = 0; steps < kSteps && next_ != jobs_.end() && next_->first < id; ++steps) {
      ++next_;
    }
    if (next_ == jobs_.end() || next_->first != id) next_ = jobs_.find(id);
    return next_->second;
  }

 private:
  // Beyond so many others a search is faster.
  static constexpr int kSteps = 6;

  const std::map<uint64_t, Job>& jobs_;
  std::map<uint64_t, Job>::const_iterator next_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_WALK_H_
