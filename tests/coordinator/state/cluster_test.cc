// Events that aren't legal change nothing, and records that don't fit are no cluster.
#include "coordinator/state/cluster.h"

#include <functional>

#include "coordinator/state/invariants.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

// Job 1 runs on a, job 2 waits, job 3 has ended, job 4 is held, job 5 is UNKNOWN on a and b.
class ClusterEvents : public ::testing::Test {
 protected:
  void SetUp() override {
    driver.AddNode("a");
    driver.AddNode("b");
    for (int i = 0; i < 3; ++i) driver.SubmitOne();
    JobSpec held = CoreDriver::Spec();
    held.set_held(true);
    driver.SubmitOne(held);
    driver.SubmitOne(CoreDriver::Spec(2));
    driver.Run(1, {"a"});
    driver.Run(3, {"a"});
    driver.SayEnded(3, "a", AttemptEnd::FINISHED);
    driver.Run(5, {"a", "b"});
    driver.Wait(7'000, {"a"});
    ASSERT_EQ(driver.state(5), UNKNOWN);
    cluster = driver.core->cluster();
  }
  HistoryEvent Next() const {
    HistoryEvent event;
    event.set_sequence(cluster.last_sequence + 1);
    event.set_time_ms(1);
    return event;
  }
  void ExpectIllegal(const HistoryEvent& event, const std::string& says) {
    const std::string before = Everything(cluster);
    std::vector<Record> records;
    const absl::Status status = Apply(event, cluster, &records);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << event.ShortDebugString();
    EXPECT_THAT(std::string(status.message()), HasSubstr(says));
    EXPECT_EQ(Everything(cluster), before) << event.ShortDebugString();
    EXPECT_TRUE(CheckCluster(cluster).ok()) << CheckCluster(cluster);
    EXPECT_TRUE(records.empty());
  }
  AttemptToken TokenOf(uint64_t job) const { return cluster.jobs.at(job).attempt().token(); }
  HistoryEvent Placing(uint64_t job, const std::string& node, int gpu) const {
    HistoryEvent event = Next();
    Attempt& attempt = *event.mutable_attempt_placed()->mutable_attempt();
    attempt.mutable_token()->set_epoch(cluster.epoch);
    attempt.mutable_token()->set_job(job);
    attempt.mutable_token()->set_attempt(1);
    Placement& placement = *attempt.add_placements();
    placement.set_node(node);
    placement.add_gpus(gpu);
    return event;
  }
  CoreDriver driver;
  Cluster cluster;
};

TEST_F(ClusterEvents, NumbersFollow) {
  HistoryEvent event = Placing(2, "a", 3);
  event.set_sequence(cluster.last_sequence);
  ExpectIllegal(event, "doesn't follow");
  event.set_sequence(cluster.last_sequence + 2);
  ExpectIllegal(event, "doesn't follow");
  ExpectIllegal(Next(), "kind that isn't known");
}

TEST_F(ClusterEvents, IdsAreGivenOnce) {
  HistoryEvent event = Next();
  Job& job = *event.mutable_job_submitted()->mutable_job();
  job.set_id(5);
  job.set_state(PENDING);
  ExpectIllegal(event, "was given before");
  job.set_id(6);
  job.set_state(RUNNING);
  ExpectIllegal(event, "begins PENDING");
}

TEST_F(ClusterEvents, AnAttemptIsPlacedOnlyWhereAndWhenItMay) {
  ExpectIllegal(Placing(1, "a", 3), "can't be placed");
  ExpectIllegal(Placing(3, "a", 3), "for good");
  ExpectIllegal(Placing(4, "a", 3), "held");
  ExpectIllegal(Placing(99, "a", 3), "no job 99");
  ExpectIllegal(Placing(2, "a", 0), "is taken");
  ExpectIllegal(Placing(2, "a", 4), "no GPU 4");
  ExpectIllegal(Placing(2, "c", 0), "no node c");
  ExpectIllegal(Placing(2, "b", 3), "takes no work");  // silent
  HistoryEvent event = Placing(2, "a", 3);
  Attempt& attempt = *event.mutable_attempt_placed()->mutable_attempt();
  *attempt.add_placements() = attempt.placements(0);
  ExpectIllegal(event, "is taken");  // by its own other rank
  attempt.mutable_placements()->RemoveLast();
  attempt.mutable_placements(0)->mutable_total()->set_cpu_millis(15'000);
  ExpectIllegal(event, "millicores");
  attempt.mutable_placements(0)->mutable_total()->set_cpu_millis(0);
  attempt.mutable_placements(0)->mutable_total()->set_memory_bytes(int64_t{65} << 30);
  ExpectIllegal(event, "of memory");
  attempt.mutable_placements(0)->mutable_total()->set_memory_bytes(0);
  attempt.mutable_token()->set_attempt(2);
  ExpectIllegal(event, "next attempt is");
  attempt.mutable_token()->set_attempt(1);
  attempt.mutable_token()->set_epoch(cluster.epoch + 1);
  ExpectIllegal(event, "next attempt is");
  attempt.clear_placements();
  attempt.mutable_token()->set_epoch(cluster.epoch);
  ExpectIllegal(event, "placed nowhere");
  EXPECT_TRUE(Apply(Placing(2, "a", 3), cluster, nullptr).ok());
}

TEST_F(ClusterEvents, TokensOfThePastChangeNothing) {
  for (const uint64_t job : {1, 3}) {
    AttemptToken token = TokenOf(job);
    if (job == 1) token.set_attempt(token.attempt() + 1);
    const std::vector<std::function<void(HistoryEvent&)>> kinds = {
        [&](HistoryEvent& e) { *e.mutable_attempt_starting()->mutable_token() = token; },
        [&](HistoryEvent& e) { *e.mutable_attempt_running()->mutable_token() = token; },
        [&](HistoryEvent& e) { *e.mutable_attempt_stopping()->mutable_token() = token; },
        [&](HistoryEvent& e) { *e.mutable_attempt_unknown()->mutable_token() = token; },
        [&](HistoryEvent& e) { *e.mutable_attempt_found_again()->mutable_token() = token; },
        [&](HistoryEvent& e) { *e.mutable_part_ended()->mutable_token() = token; },
        [&](HistoryEvent& e) { *e.mutable_attempt_ended()->mutable_token() = token; },
        [&](HistoryEvent& e) { *e.mutable_checkpoint_published()->mutable_token() = token; }};
    for (const auto& set : kinds) {
      HistoryEvent event = Next();
      set(event);
      ExpectIllegal(event, job == 1 ? "not an attempt that holds nodes" : "for good");
    }
  }
}

TEST_F(ClusterEvents, StatesFollowInOrder) {
  HistoryEvent event = Next();
  *event.mutable_attempt_starting()->mutable_token() = TokenOf(1);
  ExpectIllegal(event, "can't start");
  *event.mutable_attempt_running()->mutable_token() = TokenOf(1);
  ExpectIllegal(event, "can't run");
  *event.mutable_attempt_found_again()->mutable_token() = TokenOf(1);
  ExpectIllegal(event, "was not lost");
  *event.mutable_attempt_found_again()->mutable_token() = TokenOf(5);
  event.mutable_attempt_found_again()->set_state(PLACED);
  ExpectIllegal(event, "was not PLACED");
  *event.mutable_attempt_unknown()->mutable_token() = TokenOf(5);
  ExpectIllegal(event, "UNKNOWN already");
  *event.mutable_attempt_ended()->mutable_token() = TokenOf(1);
  ExpectIllegal(event, "on node a may live");
  *event.mutable_part_ended()->mutable_token() = TokenOf(1);
  event.mutable_part_ended()->set_node("b");
  ExpectIllegal(event, "no part on node b");
  event.mutable_job_ended()->set_job(1);
  event.mutable_job_ended()->set_state(FAILED);
  ExpectIllegal(event, "can't end");
  event.mutable_job_ended()->set_job(2);
  event.mutable_job_ended()->set_state(PENDING);
  ExpectIllegal(event, "is no end");
  event.mutable_job_forgotten()->set_job(1);
  ExpectIllegal(event, "has not ended");
  event.mutable_node_removed()->set_node("a");
  ExpectIllegal(event, "still holds jobs");
  event.mutable_epoch_began()->set_epoch(cluster.epoch);
  ExpectIllegal(event, "doesn't follow epoch");
}

TEST_F(ClusterEvents, AReasonToStopIsReplacedOnlyByACancellation) {
  const auto stop = [&](StopReason reason) {
    HistoryEvent event = Next();
    *event.mutable_attempt_stopping()->mutable_token() = TokenOf(1);
    event.mutable_attempt_stopping()->set_reason(reason);
    return event;
  };
  ASSERT_TRUE(Apply(stop(PREEMPTED), cluster, nullptr).ok());
  ExpectIllegal(stop(TIME_LIMIT), "being stopped already");
  ASSERT_TRUE(Apply(stop(CANCELLED_BY_USER), cluster, nullptr).ok());
  ExpectIllegal(stop(CANCELLED_BY_USER), "being stopped already");
}

TEST_F(ClusterEvents, ANodeThatComesBackWithOtherHardwareIsCountedAnew) {
  HistoryEvent event = Next();
  Node& node = *event.mutable_node_joined()->mutable_node();
  node = cluster.nodes.at("a");
  node.mutable_gpus()->DeleteSubrange(0, 2);
  ASSERT_TRUE(Apply(event, cluster, nullptr).ok());
  EXPECT_EQ(cluster.loads.at("a").gpus_free, 2) << "GPUs 0 and 1 were held, 2 and 3 are left";
  EXPECT_TRUE(CheckCluster(cluster).ok()) << CheckCluster(cluster);
}

TEST_F(ClusterEvents, ReplayingTheHistoryGivesTheSameCluster) {
  Cluster replayed;
  for (const HistoryEvent& event : driver.history) {
    ASSERT_TRUE(Apply(event, replayed, nullptr).ok());
  }
  EXPECT_EQ(Everything(replayed), Everything(cluster));
}

TEST_F(ClusterEvents, RecordsThatDoNotFitAreNoCluster) {
  const std::vector<Record> whole = Records(cluster);
  ASSERT_TRUE(Restore(whole).ok());
  for (size_t i = 0; i < whole.size(); ++i) {
    std::vector<Record> records = whole;
    records[i].value = "\xff\xff";
    EXPECT_EQ(Restore(records).status().code(), absl::StatusCode::kDataLoss) << whole[i].key;
    if (whole[i].kind == RecordKind::kLedger || whole[i].kind == RecordKind::kRequest) continue;
    records = whole;
    records[i].key = "00000000000000000042";
    EXPECT_EQ(Restore(records).status().code(), absl::StatusCode::kDataLoss) << whole[i].key;
  }
  std::vector<Record> records = whole;
  records.erase(records.begin());  // the ledger
  EXPECT_EQ(Restore(records).status().code(), absl::StatusCode::kDataLoss);
  std::erase_if(records = whole, [](const Record& record) { return record.key == "a"; });
  EXPECT_EQ(Restore(records).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ClusterEvents, CheckClusterSeesABrokenIndex) {
  const auto sees = [&](const std::function<void(Cluster&)>& spoil) {
    Cluster spoilt = cluster;
    spoil(spoilt);
    EXPECT_FALSE(CheckCluster(spoilt).ok());
  };
  EXPECT_TRUE(CheckCluster(cluster).ok());
  sees([](Cluster& c) { c.pending.erase(2); });
  sees([](Cluster& c) { c.holding.insert(2); });
  sees([](Cluster& c) { c.loads["a"].gpus_free = 4; });
  sees([](Cluster& c) { c.loads["a"].gpu_taken[3] = true; });
  sees([](Cluster& c) { c.loads["a"].jobs.clear(); });
  sees([](Cluster& c) { c.ended.clear(); });
  sees([](Cluster& c) { c.pending_of["user/alice"] = 9; });
  sees([](Cluster& c) { c.next_job = 3; });
  sees([](Cluster& c) { c.jobs.at(1).set_state(PLACED); });
  sees([](Cluster& c) { c.jobs.at(5).mutable_attempt()->mutable_placements(0)->set_gpus(0, 0); });
}

TEST(TokenText, IsReadBackAndNothingElseIs) {
  AttemptToken token;
  ASSERT_TRUE(FromTokenText("3.17.2", token));
  EXPECT_EQ(TokenText(token), "3.17.2");
  for (const char* text : {"", "3.17", "3.17.2.1", "3.17.02", "3.17.-2", " 3.17.2", "3.17.2 ",
                           "a.b.c", "3..2", "3.17.99999999999"}) {
    EXPECT_FALSE(FromTokenText(text, token)) << text;
  }
  EXPECT_EQ(TokenText(token), "3.17.2");
}

}  // namespace
}  // namespace tanren::coordinator
