// The coordinator's whole knowledge, as plain data with indices: what the core changes and the
// scheduler reads.
#ifndef TANREN_COORDINATOR_STATE_CLUSTER_H_
#define TANREN_COORDINATOR_STATE_CLUSTER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/store.h"
#include "proto/history.pb.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// Two readings of one moment. Leases and back-offs are counted on a clock that goes on while the
// machine sleeps and that nobody sets; what people read is wall time.
struct Now {
  int64_t wall_ms = 0;    // since the epoch
  int64_t steady_ms = 0;  // CLOCK_BOOTTIME
};

bool IsTerminal(JobState state);
// Whether an attempt of the job holds nodes.
bool HoldsNodes(JobState state);
bool operator==(const AttemptToken& a, const AttemptToken& b);
bool operator<(const AttemptToken& a, const AttemptToken& b);
// "3.17.2": epoch, job, attempt.
std::string TokenText(const AttemptToken& token);
bool FromTokenText(const std::string& text, AttemptToken& token);

// What of a node is taken.
struct NodeLoad {
  std::vector<bool> gpu_taken;  // by position in Node.gpus
  int32_t gpus_free = 0;
  int32_t cpu_millis_free = 0;
  int64_t memory_free = 0;
  std::set<uint64_t> jobs;  // whose attempts hold some of it
};

// Deterministic: equal events give equal clusters.
struct Cluster {
  uint64_t epoch = 0;
  uint64_t next_job = 1;
  uint64_t last_sequence = 0;
  std::map<uint64_t, Job> jobs;
  std::map<std::string, Node> nodes;
  std::map<std::string, Quota> quotas;
  std::map<std::string, Usage> usage;
  std::map<std::string, std::vector<uint64_t>> requests;  // "<user>/<request id>" -> jobs

  // Indices, kept by Apply.
  std::set<uint64_t> pending;  // PENDING, held or not
  std::set<uint64_t> holding;  // those whose attempts hold nodes
  std::map<std::string, NodeLoad> loads;
  std::map<uint64_t, std::vector<uint64_t>> dependants;  // of a job that isn't terminal

  const Job* FindJob(uint64_t id) const;
  const Node* FindNode(const std::string& name) const;
};

// Changes `cluster` as the event says, and adds the records that changed to `records`. An event
// that isn't legal in this state (a terminal job that changes, a token of the past, a GPU given
// twice, a number that doesn't follow) is kInternal, and the cluster is as it was.
absl::Status Apply(const HistoryEvent& event, Cluster& cluster, std::vector<Record>* records);

// What the store's records add up to. kDataLoss names a record that doesn't parse or fit.
absl::StatusOr<Cluster> Restore(const std::vector<Record>& records);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_CLUSTER_H_
