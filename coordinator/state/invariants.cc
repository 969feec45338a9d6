#include "coordinator/state/invariants.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/state/node_load.h"
#include "coordinator/state/records.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

template <typename... Args>
absl::Status Broken(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InternalError(fmt::format(format, std::forward<Args>(args)...));
}

absl::Status CheckEnded(const Job& job) {
  if (job.has_attempt() && job.attempt().ended_ms() == 0 && job.attempt().placed_ms() != 0) {
    return Broken("job {} is {} while its attempt has not ended", job.id(),
                  JobState_Name(job.state()));
  }
  return absl::OkStatus();
}

absl::Status CheckHolding(const Job& job, const Cluster& cluster) {
  const Attempt& attempt = job.attempt();
  if (attempt.placements().empty() || attempt.token().job() != job.id() ||
      attempt.token().epoch() > cluster.epoch || attempt.token().attempt() > job.attempts()) {
    return Broken("job {} is {} with attempt {} of {} on {} placements in epoch {}", job.id(),
                  JobState_Name(job.state()), TokenText(attempt.token()), job.attempts(),
                  attempt.placements_size(), cluster.epoch);
  }
  if (job.state() != UNKNOWN && job.state() != StateBehindUnknown(attempt)) {
    return Broken("job {} is {}, but what is recorded of its attempt says {}", job.id(),
                  JobState_Name(job.state()), JobState_Name(StateBehindUnknown(attempt)));
  }
  for (const std::string& ended : attempt.ended_nodes()) {
    const std::vector<std::string> nodes = NodesOf(attempt);
    if (std::find(nodes.begin(), nodes.end(), ended) == nodes.end()) {
      return Broken("job {}: a part ended on node {}, where there was none", job.id(), ended);
    }
  }
  if (attempt.token().epoch() < cluster.epoch && attempt.stop_reason() != FENCED &&
      attempt.stop_reason() != CANCELLED_BY_USER) {
    return Broken("job {} runs in epoch {}, now is epoch {}", job.id(), attempt.token().epoch(),
                  cluster.epoch);
  }
  return absl::OkStatus();
}

absl::Status CheckJob(uint64_t id, const Job& job, const Cluster& cluster) {
  if (job.id() != id || id == 0 || id >= cluster.next_job) {
    return Broken("job {} stands as {}, the next is {}", job.id(), id, cluster.next_job);
  }
  if (IsTerminal(job.state())) {
    if (job.ended_ms() == 0) return Broken("job {} ended at no time", id);
    return CheckEnded(job);
  }
  if (job.state() == PENDING) return CheckEnded(job);
  if (HoldsNodes(job.state())) return CheckHolding(job, cluster);
  return Broken("job {} has no state", id);
}

// The GPUs of each node that living parts name: none twice.
absl::Status CheckGivenOnce(const Cluster& cluster) {
  std::map<std::pair<std::string, int32_t>, uint64_t> holders;
  for (const uint64_t id : cluster.holding) {
    const Attempt& attempt = cluster.jobs.at(id).attempt();
    for (const Placement& placement : attempt.placements()) {
      if (PartHasEnded(attempt, placement.node())) continue;
      for (const int32_t gpu : placement.gpus()) {
        const auto [found, added] = holders.insert({{placement.node(), gpu}, id});
        if (!added) {
          return Broken("GPU {} of node {} is held by jobs {} and {}", gpu, placement.node(),
                        found->second, id);
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLoad(const std::string& name, const NodeLoad& a, const NodeLoad& b) {
  if (a.gpu_taken == b.gpu_taken && a.gpus_free == b.gpus_free &&
      a.cpu_millis_free == b.cpu_millis_free && a.memory_free == b.memory_free &&
      a.jobs == b.jobs && a.named == b.named) {
    return absl::OkStatus();
  }
  return Broken(
      "node {}: the index has {} GPUs, {} millicores, {} bytes free, {} jobs, {} named; by the "
      "records {}, {}, {}, {}, {}",
      name, a.gpus_free, a.cpu_millis_free, a.memory_free, a.jobs.size(), a.named.size(),
      b.gpus_free, b.cpu_millis_free, b.memory_free, b.jobs.size(), b.named.size());
}

// Indices as they would be built from the records.
absl::Status CheckIndices(const Cluster& cluster) {
  TANREN_ASSIGN_OR_RETURN(const Cluster built, Restore(Records(cluster)));
  if (cluster.pending != built.pending) return Broken("the index of PENDING jobs is wrong");
  if (cluster.holding != built.holding) return Broken("the index of holding jobs is wrong");
  if (cluster.dependants != built.dependants) return Broken("the index of dependants is wrong");
  if (cluster.pending_of != built.pending_of) return Broken("the count by subject is wrong");
  if (cluster.ended != built.ended) return Broken("the index of ended jobs is wrong");
  if (cluster.requests_by_time != built.requests_by_time) {
    return Broken("the index of requests is wrong");
  }
  if (cluster.loads.size() != built.loads.size()) {
    return Broken("{} loads for {} nodes", cluster.loads.size(), built.loads.size());
  }
  for (const auto& [name, load] : built.loads) {
    const auto found = cluster.loads.find(name);
    if (found == cluster.loads.end()) return Broken("node {} has no load", name);
    TANREN_RETURN_IF_ERROR(CheckLoad(name, found->second, load));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCluster(const Cluster& cluster) {
  for (const auto& [id, job] : cluster.jobs) TANREN_RETURN_IF_ERROR(CheckJob(id, job, cluster));
  TANREN_RETURN_IF_ERROR(CheckGivenOnce(cluster));
  return CheckIndices(cluster);
}

absl::Status CheckFollows(const Cluster& before, const Cluster& after) {
  if (after.epoch < before.epoch || after.next_job < before.next_job ||
      after.last_sequence < before.last_sequence ||
      after.requests_forgotten_before_ms < before.requests_forgotten_before_ms) {
    return Broken(
        "the epoch, the next id, the last event's number or the time of forgotten requests went "
        "back");
  }
  for (const auto& [key, answer] : before.requests) {
    const auto found = after.requests.find(key);
    const bool forgotten =
        answer.at_ms() != 0 && answer.at_ms() < after.requests_forgotten_before_ms;
    if (found == after.requests.end() && forgotten) continue;
    if (found == after.requests.end() || Serialized(found->second) != Serialized(answer)) {
      return Broken("request {} is answered otherwise than before", key);
    }
  }
  for (const auto& [id, job] : before.jobs) {
    const Job* now = after.FindJob(id);
    const bool had_ended = IsTerminal(job.state());
    if (now == nullptr && !had_ended) return Broken("job {} was lost", id);
    if (now == nullptr) continue;
    if (had_ended && Serialized(*now) != Serialized(job)) {
      return Broken("job {} was {}, and changed", id, JobState_Name(job.state()));
    }
    if (now->attempts() < job.attempts()) return Broken("job {}'s attempts went back", id);
    if (now->checkpoint().step() < job.checkpoint().step()) {
      return Broken("job {}'s checkpoint went back to step {}", id, now->checkpoint().step());
    }
  }
  return absl::OkStatus();
}

}  // namespace tanren::coordinator
