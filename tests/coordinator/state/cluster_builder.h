// Clusters for tests of the scheduler, made by hand: what runs, waits and is taken fits together.
#ifndef TANREN_TESTS_COORDINATOR_STATE_CLUSTER_BUILDER_H_
#define TANREN_TESTS_COORDINATOR_STATE_CLUSTER_BUILDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/state/cluster.h"
#include "coordinator/state/schedule.h"

namespace tanren::coordinator {

inline constexpr int64_t kMinute = 60'000;
inline constexpr int64_t kHour = 60 * kMinute;
inline constexpr int64_t kGiB = int64_t{1} << 30;
// The moment at which tests begin.
inline constexpr int64_t kStart = 1'800'000'000'000;

// `ranks` ranks of `gpus` GPUs and one core in one role.
JobSpec Gang(int ranks, int gpus);

class ClusterBuilder {
 public:
  ClusterBuilder();

  // An idle node with so many GPUs in islands of `island` (0: one), 16 cores a GPU (at least 16)
  // and 128 GiB a GPU (at least 64).
  Node& AddNode(const std::string& name, int gpus, const std::string& rack = "r1", int island = 0);
  // Changes a node's load after its hardware was changed.
  void Refresh(const std::string& node);
  // t1 … t<count>.
  void AddNodes(int count, int gpus, int per_rack = 1000);

  uint64_t Submit(const JobSpec& spec, const std::string& user = "alice");
  Job& job(uint64_t id) { return cluster.jobs.at(id); }
  // Makes a pending job run from now on; fails the test if it doesn't fit.
  void Run(uint64_t job, const std::vector<Placement>& placements);
  // Submits a job that runs on `gpus` GPUs of `node`, one a rank.
  uint64_t RunOn(const std::string& node, int gpus, JobSpec spec = {},
                 const std::string& user = "alice");
  void Stop(uint64_t job);  // STOPPING
  void End(uint64_t job, JobState state = SUCCEEDED);
  void Wait(int64_t ms) { now.wall_ms += ms, now.steady_ms += ms; }
  void SetQuota(const std::string& subject, int gpus, int running_jobs = 0, double share = 0,
                int cpu_millis = 0);

  Plan Pass() const { return Schedule(cluster, options, now); }
  // Does what a plan says: starts run, victims stop.
  void Follow(const Plan& plan);
  Explanation Why(uint64_t job) const { return Explain(cluster, options, job, now); }
  Explanation WhyDry(const JobSpec& spec, const std::string& user = "alice") const;

  Cluster cluster;
  ScheduleOptions options;
  Now now{kStart, 1'000'000};
};

// The jobs that a plan starts, in its order.
std::vector<uint64_t> Started(const Plan& plan);
std::vector<uint64_t> Victims(const Plan& plan);
const PlannedStart* FindStart(const Plan& plan, uint64_t job);
// The nodes of a start, each once, in order.
std::vector<std::string> NodesOf(const PlannedStart& start);

// Every placement of the plan together with what runs: gangs whole, ranks counted on, no GPU twice,
// nothing over what a node has, nothing on a node that takes no work or that the job excludes.
// Empty: all is well.
std::string WhatIsWrong(const Cluster& cluster, const Plan& plan);

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_STATE_CLUSTER_BUILDER_H_
