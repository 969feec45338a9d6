// The coordinator's whole knowledge, as plain data with indices: what the core changes and the
// scheduler reads.
#ifndef TANREN_COORDINATOR_STATE_CLUSTER_H_
#define TANREN_COORDINATOR_STATE_CLUSTER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
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
// The nodes of an attempt, each once, the head first.
std::vector<std::string> NodesOf(const Attempt& attempt);
// Whether its part on `node` has ended.
bool PartHasEnded(const Attempt& attempt, const std::string& node);
// What an UNKNOWN job is once its nodes are heard of again.
JobState StateBehindUnknown(const Attempt& attempt);
// "<folder>/job-<id>" and "<folder>/job-<id>/attempt-<n>".
std::string JobFolder(const JobSpec& spec, uint64_t job);
std::string AttemptFolder(const Job& job, uint32_t attempt);
// The job that an event is about; 0: none.
uint64_t JobOf(const HistoryEvent& event);
bool operator==(const AttemptToken& a, const AttemptToken& b);
bool operator<(const AttemptToken& a, const AttemptToken& b);
// An enum value's name for people: "PART_FAILED" is "part failed".
std::string Words(const std::string& name);
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
  // Those and the ones whose part here has ended while others of the gang have not: the node's
  // orders name them.
  std::set<uint64_t> named;
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
  std::map<std::string, RequestAnswer> requests;  // by "<user>/<request id>"
  int64_t requests_forgotten_before_ms = 0;       // those of before it may be gone
  // A store was restored under a new epoch, and nothing was placed in it yet: what an older epoch
  // placed may still run somewhere.
  bool unsettled = false;

  // Indices, kept by Apply.
  std::set<uint64_t> pending;  // PENDING, held or not
  std::set<uint64_t> holding;  // those whose attempts hold nodes
  std::map<std::string, NodeLoad> loads;
  std::map<uint64_t, std::set<uint64_t>> dependants;  // PENDING ones, of any job
  std::map<std::string, int64_t> pending_of;          // jobs, by subject ("user/alice", ...)
  std::set<std::pair<int64_t, uint64_t>> ended;       // (ended_ms, id) of terminal jobs
  // (at_ms, key) of the requests whose time is known.
  std::set<std::pair<int64_t, std::string>> requests_by_time;

  const Job* FindJob(uint64_t id) const;
  // kNotFound: that a job of this number was there, or was not.
  absl::Status NoJob(uint64_t id) const;
  const Node* FindNode(const std::string& name) const;
};

// Changes `cluster` as the event says, and adds the records that changed to `records`. An event
// that isn't legal in this state (a terminal job that changes, a token of the past, a GPU given
// twice, a number that doesn't follow) is kInternal, and the cluster is as it was.
absl::Status Apply(const HistoryEvent& event, Cluster& cluster, std::vector<Record>* records);

// All records of a cluster, as a store holds them (kCredential is not of the cluster).
std::vector<Record> Records(const Cluster& cluster);
// What the store's records add up to. kDataLoss names a record that doesn't parse or fit.
absl::StatusOr<Cluster> Restore(const std::vector<Record>& records);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_CLUSTER_H_
