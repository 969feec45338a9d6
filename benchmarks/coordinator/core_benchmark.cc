// What an input costs the core with 10,000 nodes that each run a job, and 100,000 jobs in memory;
// and what a restart costs before the first answer.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmark/benchmark.h"
#include "coordinator/state/core.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr int kNodes = 10'000;
constexpr int kJobs = 100'000;

JobSpec Spec() {
  JobSpec spec;
  spec.set_name("tune");
  spec.set_project("vision");
  spec.mutable_recipe()->set_recipe(std::string(2'000, 'r'));
  spec.set_folder("/data/runs");
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(8);
  role.mutable_per_rank()->set_gpus(1);
  return spec;
}

std::string NodeName(int i) { return fmt::format("n{:05}", i); }

// Jobs 1 to kNodes run, one a node; the others wait, held.
class Busy {
 public:
  Busy() {
    CoreOptions options;
    options.scheduler = [this](const Cluster&, const ScheduleOptions&, Now) {
      return std::exchange(plan_, Plan());
    };
    Cluster cluster;
    Apply(EpochEvent(cluster, 1, 1, now_), cluster, nullptr).IgnoreError();
    core_ = std::make_unique<Core>(options, std::move(cluster), now_);
    Step(TickInput{});
    for (int i = 0; i < kNodes; ++i) AddNode(i);
    for (int i = 0; i < kJobs; ++i) Submit(i >= kNodes);
    now_.steady_ms += 5'000;
    now_.wall_ms += 5'000;
    for (int i = 0; i < kNodes; ++i) PlanStart(i);
    for (int i = 0; i < kNodes; ++i) Report(i);
    Step(TickInput{});
    for (int i = 0; i < kNodes; ++i) {
      PartReport& part = *reports_[i].add_parts();
      part.mutable_token()->set_epoch(1);
      part.mutable_token()->set_job(static_cast<uint64_t>(i + 1));
      part.mutable_token()->set_attempt(1);
      part.set_state(PART_RUNNING);
      part.mutable_progress()->set_step(1);
      Report(i);
    }
  }

  Outcome Step(const Input& input) { return core_->Step(input, now_); }
  Outcome Report(int node) {
    ReportInput input;
    input.node = NodeName(node);
    reports_[node].set_sequence(reports_[node].sequence() + 1);
    input.report = reports_[node];
    return Step(input);
  }
  Outcome Submit(bool held) {
    SubmitInput input;
    input.user = "alice";
    input.request_id = fmt::format("r{}", ++requests_);
    input.spec = Spec();
    input.spec.set_held(held);
    return Step(input);
  }
  void Pass(int64_t ms) {
    now_.steady_ms += ms;
    now_.wall_ms += ms;
  }
  const Core& core() const { return *core_; }

 private:
  void AddNode(int i) {
    JoinInput join;
    join.node.set_name(NodeName(i));
    join.node.set_cpu_millis(64'000);
    for (int gpu = 0; gpu < 8; ++gpu) join.node.add_gpus()->set_index(gpu);
    Step(join);
    reports_.emplace_back();
    Report(i);
  }
  void PlanStart(int i) {
    PlannedStart start;
    start.job = static_cast<uint64_t>(i + 1);
    Placement placement;
    placement.set_node(NodeName(i));
    placement.set_role("trainer");
    placement.set_ranks(8);
    for (int gpu = 0; gpu < 8; ++gpu) placement.add_gpus(gpu);
    start.placements.push_back(placement);
    plan_.starts.push_back(start);
  }

  Now now_{1'800'000'000'000, 1'000'000};
  Plan plan_;
  std::unique_ptr<Core> core_;
  std::vector<NodeReport> reports_;
  int requests_ = 0;
};

Busy& Cluster10k() {
  static Busy busy;
  return busy;
}

// 5,000 a second at one every 2 s.
void BM_Report(benchmark::State& state) {
  Busy& busy = Cluster10k();
  int node = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(busy.Report(node));
    node = (node + 1) % kNodes;
  }
  state.counters["reports/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Report);

// A tick beside what the scheduler's own pass costs.
void BM_Tick(benchmark::State& state) {
  Busy& busy = Cluster10k();
  int node = 0;
  for (auto _ : state) {
    state.PauseTiming();
    busy.Pass(1);
    for (int i = 0; i < 5; ++i) busy.Report(node = (node + 1) % kNodes);
    state.ResumeTiming();
    benchmark::DoNotOptimize(busy.Step(TickInput{}));
  }
}
BENCHMARK(BM_Tick)->Iterations(20'000);

void BM_Submit(benchmark::State& state) {
  Busy& busy = Cluster10k();
  for (auto _ : state) benchmark::DoNotOptimize(busy.Submit(true));
}
BENCHMARK(BM_Submit)->Iterations(5'000);

void BM_RestoreAndStart(benchmark::State& state) {
  const std::vector<Record> records = Records(Cluster10k().core().cluster());
  for (auto _ : state) {
    Core core(CoreOptions(), *Restore(records), Now{1'800'000'000'000, 2'000'000});
    benchmark::DoNotOptimize(core.NextTick());
  }
}
BENCHMARK(BM_RestoreAndStart)->Unit(benchmark::kMillisecond)->Iterations(3);

}  // namespace
}  // namespace tanren::coordinator

BENCHMARK_MAIN();
