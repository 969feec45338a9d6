// How many jobs and nodes are in which state.
#ifndef TANREN_COORDINATOR_SERVER_STATUS_COUNTS_H_
#define TANREN_COORDINATOR_SERVER_STATUS_COUNTS_H_

#include <cstdint>

#include "coordinator/state/cluster.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Counting goes over all jobs, so what was counted lately serves again. On the loop's thread.
class StatusCounts {
 public:
  void Fill(const Cluster& cluster, Now now, StatusReply& reply);

 private:
  void Count(const Cluster& cluster);

  StatusReply counted_;
  uint64_t counted_sequence_ = 0;
  int64_t next_count_ = 0;  // steady
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_STATUS_COUNTS_H_
