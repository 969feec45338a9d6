#include "tests/coordinator/simulation/workload.h"

#include <algorithm>

#include "fmt/format.h"
#include "tests/coordinator/simulation/dice.h"

namespace tanren::coordinator::simulation {
namespace {

constexpr int kUsers = 5;
constexpr int64_t kGiB = int64_t{1} << 30;

std::vector<NodePlan> MakeNodes(uint64_t seed, int count) {
  Dice all(seed, Purpose::kNodes, 0);
  const int gpus = std::vector<int>{1, 2, 4, 8, 8}[static_cast<size_t>(all.Between(0, 4))];
  const bool mixed = all.Chance(0.3);
  std::vector<NodePlan> nodes;
  for (int i = 0; i < count; ++i) {
    Dice dice(seed, Purpose::kNodes, static_cast<uint32_t>(i + 1));
    NodePlan node;
    // The first has what the others have: so what fits anywhere is known from it.
    node.gpus = mixed && i > 0 && dice.Chance(0.3) ? 0 : gpus;
    node.cpu_millis = 32'000;
    node.memory_bytes = 256 * kGiB;
    node.rack = fmt::format("r{}", i / 16);
    nodes.push_back(node);
  }
  return nodes;
}

void AddRoles(Dice& dice, const std::vector<NodePlan>& nodes, JobSpec& spec) {
  int gpus = 0;
  for (const NodePlan& node : nodes) gpus += node.gpus;
  const int on_one = nodes[0].gpus;
  const double draw = dice.Uniform();
  const auto add = [&spec](const char* name, int ranks, int gpus_each, int cpu_each) {
    Role* role = spec.add_roles();
    role->set_name(name);
    role->set_ranks(ranks);
    role->mutable_per_rank()->set_gpus(gpus_each);
    role->mutable_per_rank()->set_cpu_millis(cpu_each);
    role->mutable_per_rank()->set_memory_bytes(kGiB);
    return role;
  };
  if (draw < 0.45) {
    add("trainer", 1, 1, 500);
  } else if (draw < 0.55) {
    add("trainer", static_cast<int>(dice.Between(1, 4)), 0,
        static_cast<int>(dice.Between(1, 8)) * 1000);
  } else if (draw < 0.75) {
    add("trainer", static_cast<int>(dice.Between(1, on_one)), 1, 500);
  } else if (draw < 0.92) {
    // Over several nodes: at most half of all there is, and not too many.
    const int most = std::clamp(gpus / 2, 1, 4 * on_one);
    Role* role = add("trainer", static_cast<int>(dice.Between(1, most)), 1, 500);
    if (dice.Chance(0.4)) role->set_max_ranks_per_node(std::max(1, on_one / 2));
    // Spread so, it must still fit.
    int places = 0;
    for (const NodePlan& node : nodes) places += std::min(node.gpus, std::max(1, on_one / 2));
    role->set_ranks(std::min(role->ranks(), std::max(1, places / 2)));
  } else {
    const int most = std::clamp(gpus / 4, 1, on_one);
    if (gpus < 2) {
      add("trainer", 1, 1, 500);
      return;
    }
    add("trainer", static_cast<int>(dice.Between(1, most)), 1, 500);
    add("rollout", static_cast<int>(dice.Between(1, most)), 1, 500);
  }
}

enum class Lengths { kMixed, kShort, kLong };

// Some seeds have nothing but jobs that are over before anything that is late has come, and some
// (of those that don't take long themselves) none that ends before all else would.
Lengths LengthsOf(uint64_t seed, int jobs) {
  const double draw = Dice(seed, Purpose::kWorkload, 1u << 31).Uniform();
  if (draw < 0.15) return Lengths::kShort;
  return draw > 0.9 && jobs < 1'000 ? Lengths::kLong : Lengths::kMixed;
}

JobPlan MakeJob(uint64_t seed, int index, const std::vector<NodePlan>& nodes, int64_t span_ms,
                Lengths lengths) {
  Dice dice(seed, Purpose::kWorkload, static_cast<uint32_t>(index + 1));
  JobPlan job;
  job.user = fmt::format("user{}", dice.Between(0, kUsers - 1));
  job.request_id = fmt::format("request-{}", index);
  job.submit_at_ms = dice.Chance(0.2) ? 0 : dice.Between(0, span_ms * 2 / 3);
  JobSpec& spec = job.spec;
  spec.set_name(fmt::format("plan-{}", index));
  spec.set_project(fmt::format("project{}", dice.Between(0, 2)));
  spec.mutable_recipe()->set_recipe("model: tiny\n");
  spec.set_folder("/jobs");
  AddRoles(dice, nodes, spec);
  spec.set_priority(static_cast<int>(dice.Chance(0.2) ? dice.Between(-1000, 1000) : 0));
  spec.set_preemptible(dice.Chance(0.4));
  spec.set_held(dice.Chance(0.04));
  if (dice.Chance(0.05)) {
    spec.set_array_size(static_cast<int>(dice.Between(2, 5)));
    if (dice.Chance(0.5)) spec.set_array_running(static_cast<int>(dice.Between(1, 2)));
  }
  RestartPolicy* restart = spec.mutable_restart();
  restart->set_retries(static_cast<int>(dice.Between(1, 5)));
  restart->set_first_delay_ms(dice.Between(100, 2'000));
  restart->set_longest_delay_ms(8'000);
  restart->set_hang_after_ms(5'000);
  if (index > 0 && dice.Chance(0.1)) {
    const int count = static_cast<int>(dice.Between(1, 2));
    for (int i = 0; i < count; ++i) {
      const int other = static_cast<int>(dice.Between(std::max(0, index - 10), index - 1));
      job.after.emplace_back(other, static_cast<Dependency::Kind>(dice.Between(0, 2)));
    }
  }
  const double meddled = dice.Uniform();
  if (meddled < 0.08) job.meddling = Meddling::kCancel;
  if (meddled > 0.92) job.meddling = Meddling::kRequeue;
  if (meddled > 0.97) job.meddling = Meddling::kHoldAndRelease;
  job.meddle_after_ms = dice.Between(0, span_ms / 2);
  const bool is_short = lengths == Lengths::kShort;
  job.step_ms = is_short ? dice.Between(5, 50) : dice.Between(20, 400);
  int64_t length_ms = std::min<int64_t>(dice.Exponential(is_short ? 300 : 20'000), 90'000);
  if (lengths == Lengths::kLong) length_ms += 120'000;
  job.steps = std::max<int64_t>(1, length_ms / job.step_ms);
  job.checkpoint_every = std::max<int64_t>(1, dice.Between(2'000, 15'000) / job.step_ms);
  if (dice.Chance(0.08)) job.wrong_at_step = dice.Between(0, job.steps - 1);
  if (dice.Chance(0.1)) job.breaks = 0.3;
  if (dice.Chance(0.05)) job.hangs = 0.3;
  job.save_ms = dice.Between(50, 3'000);
  // Enough for a checkpoint and more.
  if (dice.Chance(0.1)) spec.set_time_limit_ms(dice.Between(20'000, 120'000));
  return job;
}

}  // namespace

Workload MakeWorkload(uint64_t seed, int jobs, int nodes, int64_t span_ms) {
  Workload workload;
  workload.nodes = MakeNodes(seed, nodes);
  const Lengths lengths = LengthsOf(seed, jobs);
  for (int i = 0; i < jobs; ++i) {
    workload.jobs.push_back(MakeJob(seed, i, workload.nodes, span_ms, lengths));
  }
  Dice dice(seed, Purpose::kWorkload, 0);
  if (dice.Chance(0.4)) {
    Quota quota;
    quota.set_subject("user/user0");
    quota.set_running_jobs(static_cast<int>(dice.Between(1, 3)));
    workload.quotas.push_back(quota);
  }
  if (dice.Chance(0.4)) {
    int gpus = 0;
    for (const NodePlan& node : workload.nodes) gpus += node.gpus;
    Quota quota;
    quota.set_subject("project/project1");
    quota.set_gpus(std::max(2 * workload.nodes[0].gpus * 4, gpus / 2));  // no job wants more
    quota.set_share(0.5);
    workload.quotas.push_back(quota);
  }
  return workload;
}

}  // namespace tanren::coordinator::simulation
