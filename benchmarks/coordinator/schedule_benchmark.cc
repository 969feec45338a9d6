// Seconds of one scheduling pass: 10,000 waiting jobs of mixed shapes on 10,000 nodes of 8 GPUs, in
// racks of 40. The goal is 50 ms in every situation.
//
//   schedule_benchmark                               all situations
//   schedule_benchmark --benchmark_filter=Full
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/state/node_load.h"
#include "coordinator/state/schedule.h"
#include "fmt/format.h"
#include "runtime/base/random.h"

namespace tanren::coordinator {
namespace {

constexpr int kNodes = 10'000;
constexpr int kJobs = 10'000;
constexpr int kGpusOfNode = 8;
constexpr int kNodesOfRack = 40;
constexpr int64_t kMinute = 60'000;
constexpr Now kNow{1'800'000'000'000, 1'000'000};

class Situation {
 public:
  explicit Situation(int nodes_of_rack) : random_(7, RandomPurpose::kShuffle) {
    cluster_.epoch = 1;
    for (int i = 0; i < kNodes; ++i) AddNode(i, nodes_of_rack);
  }

  // Fills nodes with jobs of `gpus` GPUs until `used` of each node's are taken.
  void Fill(int gpus, int used, bool preemptible) {
    for (int i = 0; i < kNodes; ++i) {
      for (int first = 0; first + gpus <= used; first += gpus) Run(i, first, gpus, preemptible);
    }
  }
  // Between no and all GPUs of each node are taken.
  void FillUnevenly() {
    for (int i = 0; i < kNodes; ++i) {
      const int used = static_cast<int>(random_.NextBelow(kGpusOfNode + 1));
      if (used > 0) Run(i, 0, used, false);
    }
  }
  // Everyone may have a twentieth of the cluster, and some have it.
  void SetQuotas() {
    for (int i = 0; i < 50; ++i) {
      Quota& quota = cluster_.quotas[fmt::format("user/user{}", i)];
      quota.set_subject(fmt::format("user/user{}", i));
      quota.set_gpus(kNodes * kGpusOfNode / 20);
    }
  }
  void SubmitMixed(int priority) {
    for (int i = 0; i < kJobs; ++i) {
      Job& job = NewJob();
      *job.mutable_spec() = MixedSpec();
      job.mutable_spec()->set_priority(priority);
      job.set_state(PENDING);
      AddToIndices(job, cluster_);
    }
  }
  // Everyone asks for something else.
  void SubmitAllDifferent() {
    for (int i = 0; i < kJobs; ++i) {
      Job& job = NewJob();
      *job.mutable_spec() = Spec(1 + i % 97, 1 + i % 3);
      job.mutable_spec()->mutable_roles(0)->mutable_per_rank()->set_cpu_millis(1000 + i);
      job.set_state(PENDING);
      AddToIndices(job, cluster_);
    }
  }

  const Cluster& cluster() const { return cluster_; }

 private:
  void AddNode(int number, int nodes_of_rack) {
    const std::string name = fmt::format("node-{:05}", number);
    Node& node = cluster_.nodes[name];
    node.set_name(name);
    node.set_rack(fmt::format("rack-{:04}", number / nodes_of_rack));
    node.set_state(Node::UP);
    node.set_launcher("local");
    node.set_cpu_millis(128'000);
    node.set_memory_bytes(int64_t{1} << 40);
    (*node.mutable_labels())["gpu"] = number % 4 == 0 ? "h100" : "a100";
    for (int i = 0; i < kGpusOfNode; ++i) node.add_gpus()->set_index(i);
    cluster_.loads[name] = IdleLoad(node);
  }

  Job& NewJob() {
    Job& job = cluster_.jobs[cluster_.next_job];
    job.set_id(cluster_.next_job++);
    job.set_user(fmt::format("user{}", random_.NextBelow(50)));
    job.set_submitted_ms(kNow.wall_ms - static_cast<int64_t>(random_.NextBelow(100 * kMinute)));
    return job;
  }

  JobSpec Spec(int ranks, int gpus) {
    JobSpec spec;
    spec.set_project(fmt::format("project{}", random_.NextBelow(10)));
    Role& role = *spec.add_roles();
    role.set_name("trainer");
    role.set_ranks(ranks);
    role.mutable_per_rank()->set_gpus(gpus);
    role.mutable_per_rank()->set_cpu_millis(4000);
    role.mutable_per_rank()->set_memory_bytes(int64_t{32} << 30);
    return spec;
  }

  JobSpec MixedSpec() {
    static constexpr int kRanks[] = {1, 1, 2, 4, 8, 8, 16, 32, 64, 5};
    JobSpec spec = Spec(kRanks[random_.NextBelow(10)], random_.NextBelow(10) == 0 ? 0 : 1);
    if (random_.NextBelow(2) == 0) {
      spec.set_time_limit_ms(static_cast<int64_t>(1 + random_.NextBelow(48)) * 30 * kMinute);
    }
    if (random_.NextBelow(10) == 0) (*spec.mutable_node_labels())["gpu"] = "h100";
    if (random_.NextBelow(20) == 0) spec.mutable_roles(0)->set_max_ranks_per_node(1);
    if (random_.NextBelow(50) == 0) {
      spec.add_excluded_nodes(fmt::format("node-{:05}", random_.NextBelow(kNodes)));
    }
    return spec;
  }

  void Run(int node, int first_gpu, int gpus, bool preemptible) {
    Job& job = NewJob();
    *job.mutable_spec() = Spec(gpus, 1);
    job.mutable_spec()->set_preemptible(preemptible);
    job.mutable_spec()->set_time_limit_ms(static_cast<int64_t>(2 + random_.NextBelow(40)) * 60 *
                                          kMinute);
    Attempt& attempt = *job.mutable_attempt();
    attempt.mutable_token()->set_attempt(1);
    attempt.set_placed_ms(kNow.wall_ms - static_cast<int64_t>(random_.NextBelow(60 * kMinute)));
    attempt.set_running_ms(attempt.placed_ms());
    Placement& placement = *attempt.add_placements();
    placement.set_node(fmt::format("node-{:05}", node));
    placement.set_role("trainer");
    placement.set_ranks(gpus);
    for (int i = 0; i < gpus; ++i) placement.add_gpus(first_gpu + i);
    placement.mutable_total()->set_gpus(gpus);
    placement.mutable_total()->set_cpu_millis(gpus * 4000);
    placement.mutable_total()->set_memory_bytes(gpus * (int64_t{32} << 30));
    job.set_state(RUNNING);
    AddToIndices(job, cluster_);
  }

  Cluster cluster_;
  RandomStream random_;
};

void Measure(benchmark::State& state, const Situation& situation) {
  const ScheduleOptions options;
  Plan plan;
  for (auto _ : state) plan = Schedule(situation.cluster(), options, kNow);
  state.counters["starts"] = static_cast<double>(plan.starts.size());
  state.counters["preemptions"] = static_cast<double>(plan.preemptions.size());
  state.counters["reservations"] = static_cast<double>(plan.reservations.size());
}

void Empty(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.SubmitMixed(0);
  Measure(state, situation);
}

void EmptyWithoutRacks(benchmark::State& state) {
  Situation situation(kNodes);
  situation.SubmitMixed(0);
  Measure(state, situation);
}

void FullOfNodeJobs(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.Fill(kGpusOfNode, kGpusOfNode, false);
  situation.SubmitMixed(0);
  Measure(state, situation);
}

void FullOfSmallJobs(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.Fill(2, kGpusOfNode, false);
  situation.SubmitMixed(0);
  Measure(state, situation);
}

void FullOfSmallJobsAndQuotas(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.SetQuotas();
  situation.Fill(2, kGpusOfNode, false);
  situation.SubmitMixed(0);
  Measure(state, situation);
}

void FullAndAllDifferent(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.Fill(kGpusOfNode, kGpusOfNode, false);
  situation.SubmitAllDifferent();
  Measure(state, situation);
}

void EmptyAndAllDifferent(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.SubmitAllDifferent();
  Measure(state, situation);
}

void UnevenlyFull(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.FillUnevenly();
  situation.SubmitMixed(0);
  Measure(state, situation);
}

void FullOfPreemptible(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.Fill(kGpusOfNode, kGpusOfNode, true);
  situation.SubmitMixed(5);
  Measure(state, situation);
}

void ExplainOne(benchmark::State& state) {
  Situation situation(kNodesOfRack);
  situation.Fill(kGpusOfNode, kGpusOfNode, false);
  situation.SubmitMixed(0);
  const uint64_t job = *situation.cluster().pending.rbegin();
  Explanation explanation;
  for (auto _ : state) explanation = Explain(situation.cluster(), {}, job, kNow);
  state.SetLabel(explanation.text());
}

BENCHMARK(Empty)->Unit(benchmark::kMillisecond);
BENCHMARK(EmptyWithoutRacks)->Unit(benchmark::kMillisecond);
BENCHMARK(EmptyAndAllDifferent)->Unit(benchmark::kMillisecond);
BENCHMARK(UnevenlyFull)->Unit(benchmark::kMillisecond);
BENCHMARK(FullOfNodeJobs)->Unit(benchmark::kMillisecond);
BENCHMARK(FullOfSmallJobs)->Unit(benchmark::kMillisecond);
BENCHMARK(FullOfSmallJobsAndQuotas)->Unit(benchmark::kMillisecond);
BENCHMARK(FullAndAllDifferent)->Unit(benchmark::kMillisecond);
BENCHMARK(FullOfPreemptible)->Unit(benchmark::kMillisecond);
BENCHMARK(ExplainOne)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tanren::coordinator

BENCHMARK_MAIN();
