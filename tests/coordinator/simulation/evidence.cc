#include "tests/coordinator/simulation/evidence.h"

#include <algorithm>

#include "fmt/format.h"
#include "tests/coordinator/simulation/history_checker.h"

namespace tanren::coordinator::simulation {
namespace {

std::string Text(const TokenKey& key) {
  return fmt::format("{}.{}.{}", std::get<0>(key), std::get<1>(key), std::get<2>(key));
}

}  // namespace

Evidence::Evidence(World& world, int nodes)
    : world_(world), on_node_(static_cast<size_t>(nodes)), use_(static_cast<size_t>(nodes)) {}

void Evidence::Began(int node, const PartSpec& part) {
  ++world_.figures.starts;
  world_.trace.Add(world_.now_us(), "process begins", node, part.token().job(),
                   part.token().attempt());
  world_.history->CheckMayBegin(part.token());
  Add(node, part);
}

void Evidence::Add(int node, const PartSpec& part) {
  const TokenKey key = KeyOf(part.token());
  const uint64_t job = part.token().job();
  auto& runs = by_job_[job];
  for (const auto& [other, run] : runs) {
    if (other == key) continue;
    world_.Violate("at most one live attempt of a job",
                   fmt::format("attempt {} begins on n{} while {} lives on n{}", Text(key), node,
                               Text(other), *run.nodes.begin()),
                   job);
  }
  if (on_node_[static_cast<size_t>(node)].contains(key)) {
    world_.Violate("a part begins once",
                   fmt::format("attempt {} begins on n{} where it lives", Text(key), node), job);
  }
  Run& run = runs[key];
  std::set<std::string> placed;
  Use& use = use_[static_cast<size_t>(node)];
  const NodePlan& has = world_.workload.nodes[static_cast<size_t>(node)];
  for (const Placement& placement : part.placements()) {
    placed.insert(placement.node());
    if (placement.node() != World::NodeName(node)) continue;
    use.cpu_millis += placement.total().cpu_millis();
    use.memory_bytes += placement.total().memory_bytes();
    for (const int gpu : placement.gpus()) {
      const auto [taken, is_free] = use.gpus.emplace(gpu, key);
      if (is_free && gpu < has.gpus) continue;
      world_.Violate("at most one holder of a GPU",
                     fmt::format("attempt {} begins on GPU {} of n{}, which {}", Text(key), gpu,
                                 node, is_free ? "doesn't exist" : Text(taken->second) + " holds"),
                     job);
    }
  }
  if (use.cpu_millis > has.cpu_millis || use.memory_bytes > has.memory_bytes) {
    world_.Violate("no node gets more than it has",
                   fmt::format("n{}: {} of {} millicores", node, use.cpu_millis, has.cpu_millis),
                   job);
  }
  run.wanted = placed.size();
  if (run.nodes.empty()) run.partial_since_us = world_.now_us();
  run.nodes.insert(node);
  on_node_[static_cast<size_t>(node)].insert(key);
  ++living_;
}

void Evidence::Ended(int node, const PartSpec& part) {
  world_.trace.Add(world_.now_us(), "process ends", node, part.token().job(),
                   part.token().attempt());
  if (suspended_.erase({node, KeyOf(part.token())}) == 0) Remove(node, part);
}

void Evidence::Suspended(int node, const PartSpec& part) {
  if (suspended_.emplace(std::pair(node, KeyOf(part.token())), false).second) Remove(node, part);
}

void Evidence::Awake(int node, const PartSpec& part) {
  const auto it = suspended_.find({node, KeyOf(part.token())});
  if (it == suspended_.end()) return;
  if (it->second) {
    world_.Violate("nothing outlives lease and grace",
                   fmt::format("attempt {} goes on on n{} after the machine was suspended, and was "
                               "given up meanwhile",
                               Text(KeyOf(part.token())), node),
                   part.token().job());
  }
  suspended_.erase(it);
  Add(node, part);
}

void Evidence::Remove(int node, const PartSpec& part) {
  const TokenKey key = KeyOf(part.token());
  const auto runs = by_job_.find(part.token().job());
  Run& run = runs->second[key];
  if (run.nodes.size() == run.wanted) run.partial_since_us = world_.now_us();
  run.nodes.erase(node);
  if (run.nodes.empty()) runs->second.erase(key);
  if (runs->second.empty()) by_job_.erase(runs);
  on_node_[static_cast<size_t>(node)].erase(key);
  Use& use = use_[static_cast<size_t>(node)];
  for (const Placement& placement : part.placements()) {
    if (placement.node() != World::NodeName(node)) continue;
    use.cpu_millis -= placement.total().cpu_millis();
    use.memory_bytes -= placement.total().memory_bytes();
    for (const int gpu : placement.gpus()) {
      const auto taken = use.gpus.find(gpu);
      if (taken != use.gpus.end() && taken->second == key) use.gpus.erase(taken);
    }
  }
  --living_;
}

bool Evidence::Lives(uint64_t job, uint64_t epoch) const {
  const auto runs = by_job_.find(job);
  // Keys are in the order of their epochs.
  return runs != by_job_.end() && std::get<0>(runs->second.rbegin()->first) >= epoch;
}

void Evidence::CheckGivenAway(int node, uint64_t epoch) {
  for (auto& [part, given_up] : suspended_) {
    if (part.first == node && std::get<0>(part.second) >= epoch) given_up = true;
  }
  const auto& here = on_node_[static_cast<size_t>(node)];
  if (here.empty() || std::get<0>(*here.rbegin()) < epoch) return;
  world_.Violate(
      "nothing outlives lease and grace",
      fmt::format("n{} counts as lost while attempt {} lives there", node, Text(*here.rbegin())),
      std::get<1>(*here.rbegin()));
}

void Evidence::CheckPartEnded(int node, const AttemptToken& token) {
  const auto suspended = suspended_.find({node, KeyOf(token)});
  if (suspended != suspended_.end()) suspended->second = true;
  if (!on_node_[static_cast<size_t>(node)].contains(KeyOf(token))) return;
  world_.Violate("a part counts as ended only when nothing of it lives",
                 fmt::format("attempt {} lives on n{}", Text(KeyOf(token)), node), token.job());
}

void Evidence::CheckWhole(int64_t bound_us) {
  if (coordinator_since_us_ < 0) return;
  for (const auto& [job, runs] : by_job_) {
    for (const auto& [key, run] : runs) {
      if (run.nodes.size() >= run.wanted) continue;
      const int64_t since = std::max(run.partial_since_us, coordinator_since_us_);
      if (world_.now_us() - since <= bound_us) continue;
      world_.Violate(
          "gangs are whole",
          fmt::format("attempt {} lives on {} of {} nodes for {:.1f} s (n{} is one)", Text(key),
                      run.nodes.size(), run.wanted,
                      static_cast<double>(world_.now_us() - since) / 1e6, *run.nodes.begin()),
          job);
    }
  }
}

}  // namespace tanren::coordinator::simulation
