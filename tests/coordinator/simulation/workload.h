// What users want of a simulated cluster, and what their programs will do: each a function of the
// seed and its number alone.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_WORKLOAD_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_WORKLOAD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "proto/job.pb.h"

namespace tanren::coordinator::simulation {

// What is done to a job some time after it was acknowledged.
enum class Meddling { kNone, kCancel, kHoldAndRelease, kRequeue };

struct JobPlan {
  std::string user;
  std::string request_id;
  JobSpec spec;  // without dependencies: ids are known only later
  std::vector<std::pair<int, Dependency::Kind>> after;  // plans before this one
  int64_t submit_at_ms = 0;
  Meddling meddling = Meddling::kNone;
  int64_t meddle_after_ms = 0;
  // Of the program.
  int64_t steps = 1;
  int64_t step_ms = 100;
  int64_t checkpoint_every = 10;
  int64_t wrong_at_step = -1;  // a user's error there; −1: none
  double breaks = 0;           // probability that an attempt ends by infrastructure's fault
  double hangs = 0;            // that it stands still
  int64_t save_ms = 500;       // to save when asked to
};

struct NodePlan {
  int gpus = 0;
  int cpu_millis = 0;
  int64_t memory_bytes = 0;
  std::string rack;
};

struct Workload {
  std::vector<NodePlan> nodes;
  std::vector<JobPlan> jobs;
  std::vector<Quota> quotas;
};

Workload MakeWorkload(uint64_t seed, int jobs, int nodes, int64_t span_ms);

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_WORKLOAD_H_
