#include "tests/coordinator/state/random_cluster.h"

#include <vector>

#include "fmt/format.h"

namespace tanren::coordinator {

RandomCluster::RandomCluster(uint64_t seed) : random_(seed, RandomPurpose::kShuffle) {
  AddNodes();
  if (OneIn(2)) builder.SetQuota("user/u0", 1 + Below(16), Below(4), 1 + Below(3));
  if (OneIn(3)) builder.SetQuota("project/p0", 0, 1 + Below(5));
  builder.options.reservations = OneIn(4) ? 1 + Below(3) : 1;
  SubmitSome(5 + Below(20));
  for (int i = 0; i < 2; ++i) {
    builder.Follow(builder.Pass());
    Live();
  }
}

void RandomCluster::AddNodes() {
  const int count = 1 + Below(12);
  const int islands = OneIn(3) ? 2 : 0;
  for (int i = 0; i < count; ++i) {
    const int gpus = OneIn(5) ? 0 : OneIn(3) ? 4 : 8;
    Node& node =
        builder.AddNode(fmt::format("n{}", i), gpus, fmt::format("r{}", Below(3)), islands);
    if (OneIn(3)) (*node.mutable_labels())["kind"] = OneIn(2) ? "a" : "b";
    if (OneIn(4)) node.set_cpu_millis(4000);
    if (OneIn(8)) node.set_draining(true);
    if (OneIn(10)) node.set_state(Node::SILENT);
    builder.Refresh(node.name());
  }
  if (OneIn(4)) builder.AddNode("s0", 0, "r0").set_launcher("slurm");
}

JobSpec RandomCluster::RandomSpec() {
  const int gpus = OneIn(4) ? 0 : 1 + (OneIn(3) ? Below(4) : 0);
  JobSpec spec = Gang(1 + Below(OneIn(4) ? 20 : 6), gpus);
  Role& role = *spec.mutable_roles(0);
  if (OneIn(5)) role.set_max_ranks_per_node(1 + Below(3));
  if (OneIn(4)) role.mutable_per_rank()->set_memory_bytes((1 + Below(40)) * kGiB);
  if (OneIn(4)) role.mutable_per_rank()->set_cpu_millis(500 * Below(12));
  if (OneIn(6)) {
    Role& second = *spec.add_roles();
    second.set_name("rollout");
    second.set_ranks(1 + Below(4));
    second.mutable_per_rank()->set_gpus(Below(3));
  }
  spec.set_priority(OneIn(3) ? Below(200) - 100 : 0);
  spec.set_preemptible(OneIn(2));
  if (!OneIn(3)) spec.set_time_limit_ms((1 + Below(120)) * kMinute);
  if (OneIn(5)) spec.set_project(fmt::format("p{}", Below(2)));
  if (OneIn(6)) (*spec.mutable_node_labels())["kind"] = OneIn(2) ? "a" : "b";
  if (OneIn(8)) spec.add_excluded_nodes(fmt::format("n{}", Below(6)));
  if (OneIn(20)) spec.set_launcher("slurm");
  if (OneIn(12)) spec.set_held(true);
  if (OneIn(10) && builder.cluster.next_job > 1) {
    Dependency& dependency = *spec.add_dependencies();
    dependency.set_job(1 + Below(static_cast<int>(builder.cluster.next_job) - 1));
    dependency.set_kind(static_cast<Dependency::Kind>(Below(3)));
  }
  return spec;
}

void RandomCluster::SubmitSome(int count) {
  for (int i = 0; i < count; ++i) {
    JobSpec spec = RandomSpec();
    const std::string user = fmt::format("u{}", Below(3));
    if (!OneIn(8)) {
      const uint64_t job = builder.Submit(spec, user);
      if (OneIn(10)) builder.job(job).set_not_before_ms(builder.now.wall_ms + Below(kHour));
      continue;
    }
    spec.set_array_running(1 + Below(2));
    const uint64_t first = builder.cluster.next_job;
    for (int index = 0; index < 3; ++index) {
      const uint64_t job = builder.Submit(spec, user);
      builder.job(job).set_array(first);
      builder.job(job).set_array_index(index);
    }
  }
}

void RandomCluster::Live() {
  builder.Wait(1 + Below(30 * kMinute));
  const std::vector<uint64_t> holding(builder.cluster.holding.begin(),
                                      builder.cluster.holding.end());
  for (uint64_t id : holding) {
    Job& job = builder.job(id);
    const int64_t limit = job.spec().time_limit_ms();
    const bool late = limit > 0 && builder.now.wall_ms >= job.attempt().running_ms() + limit;
    if (job.state() == STOPPING) {
      if (OneIn(2)) builder.End(id, PENDING);
    } else if (late || OneIn(5)) {
      builder.End(id, OneIn(4) ? FAILED : SUCCEEDED);
    } else if (OneIn(6)) {
      Checkpoint& checkpoint = *job.mutable_checkpoint();
      checkpoint.set_attempt(job.attempt().token().attempt());
      checkpoint.set_published_ms(builder.now.wall_ms - Below(kMinute));
    }
  }
  for (auto& [name, node] : builder.cluster.nodes) {
    if (OneIn(10)) node.set_draining(!node.draining());
  }
  SubmitSome(Below(8));
}

}  // namespace tanren::coordinator
