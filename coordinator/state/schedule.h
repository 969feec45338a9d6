// Who runs where, who gives way, and why the others wait: pure functions of the cluster.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/state/cluster.h"
#include "proto/coordinator.pb.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

struct ScheduleOptions {
  // A waiting job's priority rises by one in so much time.
  int64_t ageing_ms = 600'000;
  // Use counts half after so much time.
  int64_t usage_half_life_ms = 7LL * 24 * 3600 * 1000;
  // How much priority the most over-served loses against the least served.
  double fair_share_weight = 100;
  // So many blocked jobs, in order, get a reservation that backfill may not delay.
  int reservations = 1;
  bool preemption = true;
};

struct PlannedStart {
  uint64_t job = 0;
  std::vector<Placement> placements;  // the head node first
};

struct PlannedPreemption {
  uint64_t victim = 0;
  uint64_t beneficiary = 0;
};

// Nodes kept for a job that can't start yet.
struct Reservation {
  uint64_t job = 0;
  int64_t start_ms = 0;  // wall; 0: not known (what runs has no time limits)
  std::vector<std::string> nodes;
};

struct Plan {
  std::vector<PlannedStart> starts;
  std::vector<PlannedPreemption> preemptions;
  std::vector<Reservation> reservations;
};

// A pass. Every gang whole; no node gets more than it has; equal input gives an equal plan.
Plan Schedule(const Cluster& cluster, const ScheduleOptions& options, Now now);

// Why a job is where it is: the first reason that holds, in the order of Explanation.Reason.
Explanation Explain(const Cluster& cluster, const ScheduleOptions& options, uint64_t job, Now now);
// The same of a job that isn't submitted yet, as if it were now.
Explanation ExplainDryRun(const Cluster& cluster, const ScheduleOptions& options, const Job& job,
                          Now now);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_H_
