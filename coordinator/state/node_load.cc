#include "coordinator/state/node_load.h"

#include <map>

#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

bool IsCounted(const Node& node) { return node.launcher() != "slurm"; }

// Position of the GPU with this index in Node.gpus; -1: none.
int PositionOf(const Node& node, int32_t gpu) {
  for (int i = 0; i < node.gpus_size(); ++i) {
    if (node.gpus(i).index() == gpu) return i;
  }
  return -1;
}

// `sign` 1 takes, -1 gives back.
void Change(const Placement& placement, const Node& node, int sign, NodeLoad& load) {
  if (!IsCounted(node)) return;
  for (const int32_t gpu : placement.gpus()) {
    const int position = PositionOf(node, gpu);
    if (position < 0) continue;  // the node came back without it
    if (load.gpu_taken[position] == (sign > 0)) continue;
    load.gpu_taken[position] = sign > 0;
    load.gpus_free -= sign;
  }
  load.cpu_millis_free -= sign * placement.total().cpu_millis();
  load.memory_free -= sign * placement.total().memory_bytes();
}

void ChangeAll(const Job& job, const std::string& name, int sign, Cluster& cluster) {
  const Node* node = cluster.FindNode(name);
  if (node == nullptr) return;
  NodeLoad& load = cluster.loads[name];
  for (const Placement& placement : job.attempt().placements()) {
    if (placement.node() == name) Change(placement, *node, sign, load);
  }
}

absl::Status CheckPlacement(const Placement& placement, const Node& node, NodeLoad& load) {
  if (!IsCounted(node)) return absl::OkStatus();
  for (const int32_t gpu : placement.gpus()) {
    const int position = PositionOf(node, gpu);
    if (position < 0) {
      return absl::InternalError(fmt::format("node {} has no GPU {}", node.name(), gpu));
    }
    if (load.gpu_taken[position]) {
      return absl::InternalError(fmt::format("GPU {} of node {} is taken", gpu, node.name()));
    }
    load.gpu_taken[position] = true;
  }
  load.cpu_millis_free -= placement.total().cpu_millis();
  load.memory_free -= placement.total().memory_bytes();
  if (placement.total().cpu_millis() > 0 && load.cpu_millis_free < 0) {
    return absl::InternalError(
        fmt::format("node {} lacks {} millicores", node.name(), -load.cpu_millis_free));
  }
  if (placement.total().memory_bytes() > 0 && load.memory_free < 0) {
    return absl::InternalError(
        fmt::format("node {} lacks {} bytes of memory", node.name(), -load.memory_free));
  }
  return absl::OkStatus();
}

}  // namespace

NodeLoad IdleLoad(const Node& node) {
  NodeLoad load;
  load.gpu_taken.assign(node.gpus_size(), false);
  load.gpus_free = node.gpus_size();
  load.cpu_millis_free = node.cpu_millis();
  load.memory_free = node.memory_bytes();
  return load;
}

absl::Status CheckFits(const Attempt& attempt, const Cluster& cluster) {
  std::map<std::string, NodeLoad> loads;
  for (const Placement& placement : attempt.placements()) {
    const Node* node = cluster.FindNode(placement.node());
    const auto load = cluster.loads.find(placement.node());
    if (node == nullptr || load == cluster.loads.end()) {
      return absl::InternalError(fmt::format("there is no node {}", placement.node()));
    }
    if (node->state() != Node::UP || node->draining()) {
      return absl::InternalError(fmt::format("node {} takes no work", placement.node()));
    }
    NodeLoad& left = loads.try_emplace(placement.node(), load->second).first->second;
    const absl::Status fits = CheckPlacement(placement, *node, left);
    if (!fits.ok()) return fits;
  }
  return absl::OkStatus();
}

void TakeLoad(const Job& job, const std::string& node, Cluster& cluster) {
  ChangeAll(job, node, 1, cluster);
  cluster.loads[node].jobs.insert(job.id());
}

void GiveBackLoad(const Job& job, const std::string& node, Cluster& cluster) {
  ChangeAll(job, node, -1, cluster);
  cluster.loads[node].jobs.erase(job.id());
}

void RecountLoad(const std::string& name, Cluster& cluster) {
  const std::set<uint64_t> named = std::move(cluster.loads[name].named);
  cluster.loads[name] = IdleLoad(cluster.nodes.at(name));
  cluster.loads[name].named = named;
  for (const uint64_t id : named) {
    const Job& job = cluster.jobs.at(id);
    if (!PartHasEnded(job.attempt(), name)) TakeLoad(job, name, cluster);
  }
}

void AddToIndices(const Job& job, Cluster& cluster) {
  if (job.state() == PENDING) {
    cluster.pending.insert(job.id());
    for (const std::string& subject : SubjectsOf(job)) ++cluster.pending_of[subject];
    for (const Dependency& dependency : job.spec().dependencies()) {
      cluster.dependants[dependency.job()].insert(job.id());
    }
  } else if (HoldsNodes(job.state())) {
    cluster.holding.insert(job.id());
    for (const std::string& node : NodesOf(job.attempt())) {
      cluster.loads[node].named.insert(job.id());
      if (!PartHasEnded(job.attempt(), node)) TakeLoad(job, node, cluster);
    }
  } else {
    cluster.ended.insert({job.ended_ms(), job.id()});
  }
}

void RemoveFromIndices(const Job& job, Cluster& cluster) {
  if (job.state() == PENDING) {
    cluster.pending.erase(job.id());
    for (const std::string& subject : SubjectsOf(job)) {
      if (--cluster.pending_of[subject] == 0) cluster.pending_of.erase(subject);
    }
    for (const Dependency& dependency : job.spec().dependencies()) {
      const auto found = cluster.dependants.find(dependency.job());
      if (found == cluster.dependants.end()) continue;
      found->second.erase(job.id());
      if (found->second.empty()) cluster.dependants.erase(found);
    }
  } else if (HoldsNodes(job.state())) {
    cluster.holding.erase(job.id());
    for (const std::string& node : NodesOf(job.attempt())) {
      cluster.loads[node].named.erase(job.id());
      if (!PartHasEnded(job.attempt(), node)) GiveBackLoad(job, node, cluster);
    }
  } else {
    cluster.ended.erase({job.ended_ms(), job.id()});
  }
}

std::vector<std::string> SubjectsOf(const Job& job) {
  std::vector<std::string> subjects = {fmt::format("{}{}", kUserPrefix, job.user())};
  if (!job.spec().project().empty()) {
    subjects.push_back(fmt::format("{}{}", kProjectPrefix, job.spec().project()));
  }
  return subjects;
}

}  // namespace tanren::coordinator
