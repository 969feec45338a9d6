// Random inputs, sensible and not: what must hold at every moment does, with the real scheduler.
#include <map>
#include <random>
#include <string>
#include <vector>

#include "coordinator/state/core.h"
#include "coordinator/state/invariants.h"
#include "coordinator/state/scheduling_copy.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

constexpr int kNodes = 4;

class RandomRun {
 public:
  explicit RandomRun(uint64_t seed) : random_(seed) {
    options_.allow_commands = true;
    options_.keep_ended_ms = 600'000;
    Cluster cluster;
    const HistoryEvent event = EpochEvent(cluster, 1, 1, now_);
    EXPECT_TRUE(Apply(event, cluster, nullptr).ok());
    history_.push_back(event);
    for (const Record& record : Records(cluster)) Keep(record);
    core_.emplace(options_, cluster, now_);
  }

  void Run(int steps) {
    SchedulingCopy copy;
    size_t copied = 0;  // events
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      if (i == steps / 2) {
        copy = SchedulingCopy(core_->cluster());
        copied = history_.size();
      }
      Advance();
      One();
    }
    for (size_t i = copied; i < history_.size(); ++i) {
      ASSERT_TRUE(copy.Follow(history_[i]).ok()) << history_[i].ShortDebugString();
    }
    ExpectTheSameExplanations(copy.cluster());
    Cluster replayed;
    for (const HistoryEvent& event : history_) {
      ASSERT_TRUE(Apply(event, replayed, nullptr).ok()) << event.ShortDebugString();
    }
    EXPECT_EQ(Everything(replayed), Everything(core_->cluster()));
  }

  void ExpectTheSameExplanations(const Cluster& copy) const {
    const Cluster& cluster = core_->cluster();
    EXPECT_EQ(copy.jobs.size(), cluster.jobs.size());
    for (const auto& [id, job] : cluster.jobs) {
      EXPECT_EQ(Explain(copy, options_.schedule, id, now_).DebugString(),
                Explain(cluster, options_.schedule, id, now_).DebugString());
    }
    // Someone may still submit a job that depends on one that has ended long ago.
    for (const auto& [ended_ms, id] : cluster.ended) {
      Job job;
      job.set_user("alice");
      *job.mutable_spec() = CoreDriver::Spec();
      job.mutable_spec()->add_dependencies()->set_job(id);
      job.mutable_spec()->mutable_dependencies(0)->set_kind(Dependency::AFTER_SUCCESS);
      EXPECT_EQ(ExplainDryRun(copy, options_.schedule, job, now_).DebugString(),
                ExplainDryRun(cluster, options_.schedule, job, now_).DebugString());
    }
  }

  std::string Trace() const {
    std::string text;
    for (const HistoryEvent& event : history_) text += event.SerializeAsString();
    return text;
  }
  int Count(HistoryEvent::KindCase kind) const {
    int count = 0;
    for (const HistoryEvent& event : history_) count += event.kind_case() == kind ? 1 : 0;
    return count;
  }

 private:
  int64_t Below(int64_t limit) { return static_cast<int64_t>(random_() % uint64_t(limit)); }
  bool Chance(double p) { return Below(1'000'000) < p * 1'000'000; }
  std::string SomeNode() { return fmt::format("n{}", Below(kNodes)); }
  uint64_t SomeJob() {
    return uint64_t(1 + Below(std::max<int64_t>(1, int64_t(core_->cluster().next_job))));
  }

  void Advance() {
    const int64_t ms = Chance(0.02) ? Below(20'000) : Below(400);
    now_.steady_ms += ms;
    now_.wall_ms += ms;
    if (Chance(0.005)) now_.wall_ms += Below(7'200'000) - 3'600'000;
  }

  void One() {
    const int64_t what = Below(100);
    if (what < 45) return Report(SomeNode());
    if (what < 75) return Step(TickInput{});
    if (what < 83) return Submit();
    if (what < 90) return ChangeJob();
    if (what < 92) return ChangeNode();
    if (what < 93) return SetQuota();
    if (what < 96) return Join(SomeNode());
    if (what < 97) return Step(LeaveInput{SomeNode(), 0});
    if (what < 98) return Garbage();
    if (Chance(0.3)) Restart();
  }

  void Submit() {
    SubmitInput input;
    input.user = Chance(0.5) ? "alice" : "bob";
    input.request_id = fmt::format("r{}", Below(400));
    input.spec = CoreDriver::Spec(int(1 + Below(3)));
    input.spec.set_priority(int(Below(5)));
    input.spec.set_preemptible(Chance(0.5));
    if (Chance(0.2)) input.spec.set_project("vision");
    if (Chance(0.2)) input.spec.set_array_size(int(1 + Below(4)));
    if (Chance(0.2)) input.spec.set_array_running(1);
    if (Chance(0.1)) input.spec.set_held(true);
    if (Chance(0.2)) input.spec.set_time_limit_ms(1 + Below(30'000));
    if (Chance(0.3)) {
      Dependency& dependency = *input.spec.add_dependencies();
      dependency.set_job(SomeJob());
      dependency.set_kind(static_cast<Dependency::Kind>(Below(3)));
    }
    input.spec.mutable_restart()->set_first_delay_ms(500);
    Step(input);
  }

  void ChangeJob() {
    ChangeJobInput input;
    input.kind = static_cast<ChangeJobInput::Kind>(Below(4));
    input.user = Chance(0.5) ? "alice" : "bob";
    input.admin = Chance(0.3);
    input.request_id = fmt::format("c{}", Below(4000));
    input.job = SomeJob();
    Step(input);
  }

  void ChangeNode() {
    ChangeNodeInput input;
    input.kind = Chance(0.6)   ? ChangeNodeInput::Kind::kResume
                 : Chance(0.7) ? ChangeNodeInput::Kind::kDrain
                               : ChangeNodeInput::Kind::kRemove;
    input.node = SomeNode();
    input.evict = Chance(0.5);
    Step(input);
  }

  void SetQuota() {
    SetQuotaInput input;
    input.quota.set_subject(Chance(0.5) ? "user/alice" : "project/vision");
    if (Chance(0.5)) input.quota.set_pending_jobs(int(1 + Below(20)));
    if (Chance(0.5)) input.quota.set_gpus(int(1 + Below(6)));
    Step(input);
  }

  void Join(const std::string& name) {
    JoinInput join;
    join.node.set_name(name);
    join.node.set_cpu_millis(8'000);
    join.node.set_memory_bytes(1 << 30);
    const int64_t gpus = Chance(0.9) ? 4 : Below(5);
    for (int i = 0; i < gpus; ++i) join.node.add_gpus()->set_index(i);
    Step(join);
    if (Chance(0.1)) holds_[name].clear();  // the machine was started again
  }

  // The agent does something of what it was told, and something happens to what runs.
  void Report(const std::string& name) {
    auto& holds = holds_[name];
    for (auto it = holds.begin(); it != holds.end();) {
      PartReport& part = it->second;
      const bool named = named_[name].contains(it->first);
      if (part.state() == PART_ENDED && !named) {
        it = holds.erase(it);
        continue;
      }
      if (part.state() == PART_STARTING && Chance(0.6)) part.set_state(PART_RUNNING);
      if (Chance(0.3)) {
        part.mutable_progress()->set_step(part.progress().step() + 1);
        Checkpoint& checkpoint = *part.mutable_checkpoint();
        checkpoint.set_step(Below(100));
        checkpoint.set_folder(
            fmt::format("/data/job-{}/attempt-{}/checkpoints/step-{}", part.token().job(),
                        part.token().attempt() - (Chance(0.1) ? 1 : 0), checkpoint.step()));
      }
      if (Chance(0.01)) part.set_hung(true);
      if (part.state() != PART_ENDED &&
          (Chance(0.05) || ((!named || stops_[name].contains(it->first)) && Chance(0.5)))) {
        part.set_state(PART_ENDED);
        part.mutable_end()->set_kind(static_cast<AttemptEnd::Kind>(Below(8)));
        part.mutable_end()->set_signal(int(Below(2)) * 9);
      }
      ++it;
    }
    ReportInput input;
    input.node = name;
    input.report.set_sequence(++reports_[name] - (Chance(0.05) ? 3 : 0));
    input.report.set_orders(acted_[name]);
    for (const auto& [token, part] : holds) *input.report.add_parts() = part;
    Step(input);
  }

  void Garbage() {
    ReportInput input;
    input.node = SomeNode();
    input.report.set_sequence(++reports_[input.node]);
    input.report.set_orders(uint64_t(Below(1000)));
    for (int i = 0; i < 3; ++i) {
      PartReport& part = *input.report.add_parts();
      part.mutable_token()->set_epoch(uint64_t(Below(3)));
      part.mutable_token()->set_job(uint64_t(Below(int64_t(core_->cluster().next_job))));
      part.mutable_token()->set_attempt(uint32_t(Below(4)));
      part.set_state(static_cast<PartState>(Below(5)));
    }
    for (const auto& [token, part] : holds_[input.node]) *input.report.add_parts() = part;
    Step(input);
  }

  void Restart() {
    std::vector<Record> records = AsRecords(records_);
    auto cluster = Restore(records);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    if (Chance(0.2)) {
      const HistoryEvent event = EpochEvent(*cluster, cluster->epoch + 1, 0, now_);
      std::vector<Record> made;
      ASSERT_TRUE(Apply(event, *cluster, &made).ok());
      history_.push_back(event);
      for (const Record& record : made) Keep(record);
    }
    core_.emplace(options_, *std::move(cluster), now_);
    for (int i = 0; i < kNodes; ++i) named_[fmt::format("n{}", i)].clear();
  }

  void Keep(const Record& record) {
    if (record.erase) {
      records_.erase({record.kind, record.key});
    } else {
      records_[{record.kind, record.key}] = record.value;
    }
  }

  void Step(const Input& input) {
    const Cluster before = core_->cluster();
    const Outcome outcome = core_->Step(input, now_);
    ASSERT_NE(outcome.status.code(), absl::StatusCode::kInternal) << outcome.status;
    if (!outcome.status.ok() && !std::holds_alternative<TickInput>(input)) {
      EXPECT_TRUE(outcome.commit.empty()) << "an error changed something: " << outcome.status;
    }
    for (const HistoryEvent& event : outcome.commit.events) history_.push_back(event);
    for (const Record& record : outcome.commit.records) Keep(record);
    for (const auto& [name, orders] : outcome.orders) Obey(name, orders);
    const absl::Status is_well = CheckCluster(core_->cluster());
    ASSERT_TRUE(is_well.ok()) << is_well;
    const absl::Status follows = CheckFollows(before, core_->cluster());
    ASSERT_TRUE(follows.ok()) << follows;
    const auto restored = Restore(AsRecords(records_));
    ASSERT_TRUE(restored.ok()) << restored.status();
    ASSERT_EQ(Everything(*restored), Everything(core_->cluster()));
  }

  void Obey(const std::string& name, const Orders& orders) {
    if (Chance(0.1)) return;  // lost on the way
    acted_[name] = orders.sequence();
    named_[name].clear();
    stops_[name].clear();
    for (const PartOrder& order : orders.parts()) {
      const std::string token = TokenText(order.token());
      named_[name].insert(token);
      if (order.stop() != STOP_REASON_UNSPECIFIED) stops_[name].insert(token);
      if (!order.has_start() || holds_[name].contains(token)) continue;
      PartReport& part = holds_[name][token];
      *part.mutable_token() = order.token();
      part.set_state(PART_STARTING);
    }
  }

  std::mt19937_64 random_;
  CoreOptions options_;
  Now now_{1'800'000'000'000, 1'000'000};
  std::optional<Core> core_;
  std::vector<HistoryEvent> history_;
  std::map<std::pair<RecordKind, std::string>, std::string> records_;
  std::map<std::string, std::map<std::string, PartReport>> holds_;
  std::map<std::string, std::set<std::string>> named_;
  std::map<std::string, std::set<std::string>> stops_;
  std::map<std::string, uint64_t> acted_;
  std::map<std::string, uint64_t> reports_;
};

TEST(CoreProperty, RandomInputsLeaveAWholeClusterThatItsRecordsItsHistoryAndItsCopyTell) {
  std::map<HistoryEvent::KindCase, int> seen;
  for (uint64_t seed = 1; seed <= 8 && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomRun run(seed);
    run.Run(1'000);
    for (int kind = HistoryEvent::kEpochBegan; kind <= HistoryEvent::kNodeRemoved; ++kind) {
      const auto one = static_cast<HistoryEvent::KindCase>(kind);
      seen[one] += run.Count(one);
    }
  }
  for (const auto& [kind, count] : seen) {
    EXPECT_GT(count, 0) << "no event of kind " << kind << ": the inputs are too tame";
  }
}

TEST(CoreProperty, EqualInputsGiveEqualHistories) {
  RandomRun one(77);
  RandomRun two(77);
  one.Run(600);
  two.Run(600);
  EXPECT_EQ(one.Trace(), two.Trace());
}

}  // namespace
}  // namespace tanren::coordinator
