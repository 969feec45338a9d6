#include "tests/coordinator/state/cluster_builder.h"

#include <algorithm>
#include <map>
#include <set>

#include "coordinator/state/node_load.h"
#include "fmt/format.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {

JobSpec Gang(int ranks, int gpus) {
  JobSpec spec;
  spec.set_name("gang");
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(ranks);
  role.mutable_per_rank()->set_gpus(gpus);
  role.mutable_per_rank()->set_cpu_millis(1000);
  return spec;
}

ClusterBuilder::ClusterBuilder() { cluster.epoch = 1; }

Node& ClusterBuilder::AddNode(const std::string& name, int gpus, const std::string& rack,
                              int island) {
  Node& node = cluster.nodes[name];
  node.set_name(name);
  node.set_rack(rack);
  node.set_state(Node::UP);
  node.set_launcher("local");
  node.set_cpu_millis(std::max(gpus, 1) * 16'000);
  node.set_memory_bytes(std::max<int64_t>(gpus * 128, 64) * kGiB);
  for (int i = 0; i < gpus; ++i) {
    Gpu& gpu = *node.add_gpus();
    gpu.set_index(i);
    gpu.set_island(island > 0 ? i / island : 0);
  }
  Refresh(name);
  return node;
}

void ClusterBuilder::Refresh(const std::string& node) {
  cluster.loads[node] = IdleLoad(cluster.nodes.at(node));
}

void ClusterBuilder::AddNodes(int count, int gpus, int per_rack) {
  for (int i = 0; i < count; ++i) {
    AddNode(fmt::format("t{}", i + 1), gpus, fmt::format("r{}", i / per_rack + 1));
  }
}

uint64_t ClusterBuilder::Submit(const JobSpec& spec, const std::string& user) {
  Job& job = cluster.jobs[cluster.next_job];
  job.set_id(cluster.next_job++);
  job.set_user(user);
  *job.mutable_spec() = spec;
  job.set_state(PENDING);
  job.set_held(spec.held());
  job.set_submitted_ms(now.wall_ms);
  AddToIndices(job, cluster);
  return job.id();
}

void ClusterBuilder::Run(uint64_t id, const std::vector<Placement>& placements) {
  Job& job = cluster.jobs.at(id);
  RemoveFromIndices(job, cluster);
  Attempt& attempt = *job.mutable_attempt();
  attempt.Clear();
  attempt.mutable_token()->set_epoch(cluster.epoch);
  attempt.mutable_token()->set_job(id);
  attempt.mutable_token()->set_attempt(job.attempts() + 1);
  job.set_attempts(job.attempts() + 1);
  attempt.mutable_placements()->Assign(placements.begin(), placements.end());
  attempt.set_placed_ms(now.wall_ms);
  attempt.set_running_ms(now.wall_ms);
  const absl::Status fits = CheckFits(attempt, cluster);
  EXPECT_TRUE(fits.ok()) << "job " << id << ": " << fits;
  job.set_state(RUNNING);
  AddToIndices(job, cluster);
}

uint64_t ClusterBuilder::RunOn(const std::string& node, int gpus, JobSpec spec,
                               const std::string& user) {
  if (spec.roles().empty()) {
    const JobSpec gang = Gang(std::max(gpus, 1), gpus > 0 ? 1 : 0);
    *spec.mutable_roles() = gang.roles();
  }
  const uint64_t id = Submit(spec, user);
  Placement placement;
  placement.set_node(node);
  placement.set_role("trainer");
  placement.set_ranks(spec.roles(0).ranks());
  const std::vector<bool>& taken = cluster.loads.at(node).gpu_taken;
  for (int i = 0; i < static_cast<int>(taken.size()) && placement.gpus_size() < gpus; ++i) {
    if (!taken[i]) placement.add_gpus(cluster.nodes.at(node).gpus(i).index());
  }
  EXPECT_EQ(placement.gpus_size(), gpus) << "node " << node << " has too few free";
  placement.mutable_total()->set_gpus(gpus);
  placement.mutable_total()->set_cpu_millis(spec.roles(0).ranks() *
                                            spec.roles(0).per_rank().cpu_millis());
  placement.mutable_total()->set_memory_bytes(spec.roles(0).ranks() *
                                              spec.roles(0).per_rank().memory_bytes());
  Run(id, {placement});
  return id;
}

void ClusterBuilder::Stop(uint64_t id) {
  Job& job = cluster.jobs.at(id);
  job.mutable_attempt()->set_stop_reason(PREEMPTED);
  job.mutable_attempt()->set_stopping_ms(now.wall_ms);
  job.set_state(STOPPING);
}

void ClusterBuilder::End(uint64_t id, JobState state) {
  Job& job = cluster.jobs.at(id);
  RemoveFromIndices(job, cluster);
  if (HoldsNodes(job.state())) {
    job.mutable_attempt()->set_ended_ms(now.wall_ms);
  }
  job.set_state(state);
  if (IsTerminal(state)) job.set_ended_ms(now.wall_ms);
  AddToIndices(job, cluster);
}

void ClusterBuilder::SetQuota(const std::string& subject, int gpus, int running_jobs, double share,
                              int cpu_millis) {
  Quota& quota = cluster.quotas[subject];
  quota.set_subject(subject);
  quota.set_gpus(gpus);
  quota.set_running_jobs(running_jobs);
  quota.set_share(share);
  quota.set_cpu_millis(cpu_millis);
}

void ClusterBuilder::Follow(const Plan& plan) {
  for (const PlannedStart& start : plan.starts) Run(start.job, start.placements);
  for (const PlannedPreemption& preemption : plan.preemptions) Stop(preemption.victim);
}

Explanation ClusterBuilder::WhyDry(const JobSpec& spec, const std::string& user) const {
  Job job;
  job.set_user(user);
  *job.mutable_spec() = spec;
  return ExplainDryRun(cluster, options, job, now);
}

std::vector<uint64_t> Started(const Plan& plan) {
  std::vector<uint64_t> jobs;
  for (const PlannedStart& start : plan.starts) jobs.push_back(start.job);
  return jobs;
}

std::vector<uint64_t> Victims(const Plan& plan) {
  std::vector<uint64_t> jobs;
  for (const PlannedPreemption& preemption : plan.preemptions) jobs.push_back(preemption.victim);
  return jobs;
}

const PlannedStart* FindStart(const Plan& plan, uint64_t job) {
  for (const PlannedStart& start : plan.starts) {
    if (start.job == job) return &start;
  }
  return nullptr;
}

std::vector<std::string> NodesOf(const PlannedStart& start) {
  std::vector<std::string> nodes;
  for (const Placement& placement : start.placements) {
    if (std::find(nodes.begin(), nodes.end(), placement.node()) == nodes.end()) {
      nodes.push_back(placement.node());
    }
  }
  return nodes;
}

namespace {

std::string WrongGang(const Job& job, const PlannedStart& start) {
  std::map<std::string, int> ranks;
  std::map<std::pair<std::string, std::string>, int> on_node;
  for (const Placement& placement : start.placements) {
    if (placement.first_rank() != ranks[placement.role()]) {
      return fmt::format("job {}: ranks of {} aren't counted on", job.id(), placement.role());
    }
    ranks[placement.role()] += placement.ranks();
    on_node[{placement.role(), placement.node()}] += placement.ranks();
  }
  for (const Role& role : job.spec().roles()) {
    if (ranks[role.name()] != role.ranks()) {
      return fmt::format("job {}: {} of {} ranks of {} are placed", job.id(), ranks[role.name()],
                         role.ranks(), role.name());
    }
    for (const Placement& placement : start.placements) {
      if (placement.role() != role.name() || job.spec().launcher() == "slurm") continue;
      const Resources& each = role.per_rank();
      if (placement.gpus_size() != placement.ranks() * each.gpus() ||
          placement.total().gpus() != placement.gpus_size() ||
          placement.total().cpu_millis() != placement.ranks() * each.cpu_millis() ||
          placement.total().memory_bytes() != placement.ranks() * each.memory_bytes()) {
        return fmt::format("job {}: a part on {} has other resources than its ranks ask for",
                           job.id(), placement.node());
      }
      if (role.max_ranks_per_node() > 0 &&
          on_node[{role.name(), placement.node()}] > role.max_ranks_per_node()) {
        return fmt::format("job {}: too many ranks on {}", job.id(), placement.node());
      }
    }
  }
  return "";
}

}  // namespace

std::string WhatIsWrong(const Cluster& before, const Plan& plan) {
  Cluster cluster = before;
  std::set<uint64_t> seen;
  for (const PlannedStart& start : plan.starts) {
    if (!seen.insert(start.job).second) return fmt::format("job {} starts twice", start.job);
    Job& job = cluster.jobs.at(start.job);
    if (job.state() != PENDING) return fmt::format("job {} isn't pending", start.job);
    if (std::string wrong = WrongGang(job, start); !wrong.empty()) return wrong;
    for (const Placement& placement : start.placements) {
      const Node& node = cluster.nodes.at(placement.node());
      if (node.state() != Node::UP || node.draining()) {
        return fmt::format("job {} is placed on {}, which takes no work", start.job, node.name());
      }
      for (const auto& [key, value] : job.spec().node_labels()) {
        auto label = node.labels().find(key);
        if (label == node.labels().end() || label->second != value) {
          return fmt::format("job {}: {} lacks label {}", start.job, node.name(), key);
        }
      }
      for (const std::string& excluded : job.spec().excluded_nodes()) {
        if (excluded == node.name()) return fmt::format("job {} excludes {}", start.job, excluded);
      }
    }
    RemoveFromIndices(job, cluster);
    Attempt& attempt = *job.mutable_attempt();
    attempt.Clear();
    attempt.mutable_placements()->Assign(start.placements.begin(), start.placements.end());
    if (absl::Status fits = CheckFits(attempt, cluster); !fits.ok()) {
      return fmt::format("job {}: {}", start.job, fits.ToString());
    }
    job.set_state(RUNNING);
    AddToIndices(job, cluster);
  }
  std::set<uint64_t> victims;
  for (const PlannedPreemption& preemption : plan.preemptions) {
    if (!victims.insert(preemption.victim).second) {
      return fmt::format("job {} is stopped twice", preemption.victim);
    }
    const Job& victim = before.jobs.at(preemption.victim);
    const Job& beneficiary = before.jobs.at(preemption.beneficiary);
    if (!victim.spec().preemptible() || victim.spec().priority() >= beneficiary.spec().priority() ||
        victim.state() == STOPPING) {
      return fmt::format("job {} may not be stopped for {}", victim.id(), beneficiary.id());
    }
  }
  return "";
}

}  // namespace tanren::coordinator
