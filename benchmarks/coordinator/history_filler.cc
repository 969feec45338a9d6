// Writes the state folder of a coordinator that has seen much: jobs that trained, published a
// checkpoint and ended, and jobs that wait. For restart.sh.
//   history_filler FOLDER [--ended 100000] [--waiting 20000]
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "coordinator/state/core.h"
#include "coordinator/store/sqlite_store.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int kNodes = 128;
constexpr int kGpus = 8;
constexpr int kAtOnce = kNodes * kGpus;

std::string NodeName(int node) { return fmt::format("n{:04}", node); }

JobSpec Spec(bool held) {
  JobSpec spec;
  spec.set_name("tune");
  spec.set_project("vision");
  // As long as those that `tanren submit` writes are.
  spec.mutable_recipe()->set_recipe(std::string(1'500, 'r'));
  spec.set_folder("/data/runs");
  spec.set_held(held);
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(1);
  role.mutable_per_rank()->set_gpus(1);
  role.mutable_per_rank()->set_cpu_millis(1000);
  return spec;
}

class Past {
 public:
  explicit Past(const std::filesystem::path& folder)
      : store_(ValueOrThrow(SqliteStore::Open(folder))) {
    CoreOptions options;
    options.scheduler = [this](const Cluster&, const ScheduleOptions&, Now) {
      return std::exchange(plan_, Plan());
    };
    // So long ago that nothing is forgotten meanwhile.
    now_ = {WallMs() - 20LL * 24 * 3600 * 1000, 1'000'000};
    Cluster cluster;
    Commit commit;
    commit.events.push_back(EpochEvent(cluster, 1, 1, now_));
    ThrowIfError(Apply(commit.events.back(), cluster, &commit.records));
    ThrowIfError(store_->Write(commit));
    core_ = std::make_unique<Core>(options, std::move(cluster), now_);
    Step(TickInput{});
    for (int node = 0; node < kNodes; ++node) {
      JoinInput join;
      join.node.set_name(NodeName(node));
      join.node.set_cpu_millis(64'000);
      for (int gpu = 0; gpu < kGpus; ++gpu) join.node.add_gpus()->set_index(gpu);
      Step(join);
    }
    reports_.resize(kNodes);
    Pass(5'000);
  }

  // So many at once: at most kAtOnce.
  void LiveLives(int count) {
    std::vector<uint64_t> jobs;
    for (int i = 0; i < count; ++i) {
      const uint64_t job = Submit(/*held=*/false);
      jobs.push_back(job);
      PlannedStart start;
      start.job = job;
      Placement placement;
      placement.set_node(NodeName(i / kGpus));
      placement.set_role("trainer");
      placement.set_ranks(1);
      placement.add_gpus(i % kGpus);
      start.placements.push_back(placement);
      plan_.starts.push_back(start);
    }
    Pass(1'000);
    for (NodeReport& report : reports_) report.clear_parts();
    for (int i = 0; i < count; ++i) {
      PartReport& part = *reports_[i / kGpus].add_parts();
      part.mutable_token()->set_epoch(1);
      part.mutable_token()->set_job(jobs[i]);
      part.mutable_token()->set_attempt(1);
      part.set_state(PART_RUNNING);
      part.mutable_progress()->set_step(1);
    }
    Pass(1'000);
    for (NodeReport& report : reports_) {
      for (PartReport& part : *report.mutable_parts()) {
        Checkpoint& checkpoint = *part.mutable_checkpoint();
        checkpoint.set_attempt(1);
        checkpoint.set_step(100);
        checkpoint.set_folder(
            fmt::format("/data/runs/job-{}/attempt-1/checkpoints/step-100", part.token().job()));
      }
    }
    Pass(1'000);
    for (NodeReport& report : reports_) {
      for (PartReport& part : *report.mutable_parts()) {
        part.set_state(PART_ENDED);
        part.mutable_end()->set_kind(AttemptEnd::FINISHED);
        part.mutable_end()->set_rank(-1);
      }
    }
    Pass(1'000);
    for (NodeReport& report : reports_) report.clear_parts();
    Pass(1'000);
  }

  uint64_t Submit(bool held) {
    SubmitInput input;
    input.user = fmt::format("user{}", requests_ % 20);
    input.request_id = fmt::format("{:032x}", ++requests_);
    input.spec = Spec(held);
    return Step(input).jobs.at(0);
  }
  void Write() { ThrowIfError(store_->Write(std::exchange(commit_, Commit()))); }
  uint64_t events() const { return store_->last_sequence(); }
  const Cluster& cluster() const { return core_->cluster(); }

 private:
  Outcome Step(const Input& input) {
    Outcome outcome = core_->Step(input, now_);
    ThrowIfError(outcome.status);
    for (HistoryEvent& event : outcome.commit.events) commit_.events.push_back(std::move(event));
    for (Record& record : outcome.commit.records) commit_.records.push_back(std::move(record));
    return outcome;
  }
  // Time goes on, each node reports, and the scheduler has its turn.
  void Pass(int64_t ms) {
    now_.steady_ms += ms;
    now_.wall_ms += ms;
    for (int node = 0; node < kNodes; ++node) {
      ReportInput input;
      input.node = NodeName(node);
      reports_[node].set_sequence(reports_[node].sequence() + 1);
      input.report = reports_[node];
      Step(input);
    }
    Step(TickInput{});
  }

  std::unique_ptr<Store> store_;
  Now now_;
  Plan plan_;
  std::unique_ptr<Core> core_;
  std::vector<NodeReport> reports_;
  Commit commit_;
  int requests_ = 0;
};

void Fill(const std::filesystem::path& folder, int ended, int waiting) {
  Past past(folder);
  for (int left = ended; left > 0; left -= kAtOnce) {
    past.LiveLives(std::min(left, kAtOnce));
    past.Write();
  }
  for (int i = 0; i < waiting; ++i) past.Submit(/*held=*/true);
  past.Write();
  fmt::print("{} ended, {} waiting, {} events\n", past.cluster().ended.size(),
             past.cluster().pending.size(), past.events());
}

}  // namespace
}  // namespace tanren::coordinator

int main(int argc, char** argv) {
  CLI::App program("Writes the history of a coordinator that has seen much.");
  std::filesystem::path folder;
  int ended = 100'000, waiting = 20'000;
  program.add_option("folder", folder, "The state folder that is made")->required();
  program.add_option("--ended", ended)->capture_default_str();
  program.add_option("--waiting", waiting)->capture_default_str();
  CLI11_PARSE(program, argc, argv);
  try {
    tanren::coordinator::Fill(folder, ended, waiting);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
