// What the end of an attempt means for its job: a table of situations, and the same through a core.
#include "coordinator/state/attempt_end.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Next = AttemptVerdict::Next;

struct Situation {
  const char* name;
  AttemptEnd::Kind end;
  StopReason stop;
  bool cancelled;
  int failures;  // before, of 2 retries
  bool stepped;
  Next next;
  JobState state;  // where it ends
  int64_t delay_ms;
};

class Judgement : public ::testing::TestWithParam<Situation> {};

TEST_P(Judgement, IsAsTheTableSays) {
  const Situation& given = GetParam();
  Job job;
  job.set_id(1);
  *job.mutable_spec() = CoreDriver::Spec();
  job.mutable_spec()->mutable_restart()->set_retries(2);
  job.mutable_spec()->mutable_restart()->set_first_delay_ms(1'000);
  job.mutable_spec()->mutable_restart()->set_longest_delay_ms(1'500);
  job.set_failures(given.failures);
  job.set_cancel_requested(given.cancelled);
  job.mutable_attempt()->mutable_end()->set_kind(given.end);
  job.mutable_attempt()->set_stop_reason(given.stop);
  job.mutable_attempt()->set_starting_ms(1);
  const AttemptVerdict verdict = Judge(job, given.stepped ? 5 : 0);
  EXPECT_EQ(static_cast<int>(verdict.next), static_cast<int>(given.next));
  if (given.next == Next::kEnd) {
    EXPECT_EQ(verdict.state, given.state);
  }
  if (given.next == Next::kAgain) {
    EXPECT_EQ(verdict.delay_ms, given.delay_ms);
  }
}

constexpr StopReason kNone = STOP_REASON_UNSPECIFIED;

INSTANTIATE_TEST_SUITE_P(
    All, Judgement,
    ::testing::Values(
        Situation{"Finished", AttemptEnd::FINISHED, kNone, false, 0, true, Next::kEnd, SUCCEEDED,
                  0},
        Situation{"FinishedBeforeItsCancellation", AttemptEnd::FINISHED, CANCELLED_BY_USER, true, 0,
                  true, Next::kEnd, SUCCEEDED, 0},
        Situation{"Cancelled", AttemptEnd::STOPPED, CANCELLED_BY_USER, true, 0, true, Next::kEnd,
                  CANCELLED, 0},
        Situation{"CancelledWhileItsNodeWasLost", AttemptEnd::INFRASTRUCTURE, NODE_LOST, true, 0,
                  true, Next::kEnd, CANCELLED, 0},
        Situation{"UserError", AttemptEnd::USER_ERROR, kNone, false, 0, true, Next::kEnd, FAILED,
                  0},
        Situation{"FirstFault", AttemptEnd::INFRASTRUCTURE, kNone, false, 0, true, Next::kAgain,
                  PENDING, 1'000},
        Situation{"SecondFaultWaitsLonger", AttemptEnd::INFRASTRUCTURE, NODE_LOST, false, 1, true,
                  Next::kAgain, PENDING, 1'500},
        Situation{"BudgetSpent", AttemptEnd::INFRASTRUCTURE, kNone, false, 2, true, Next::kEnd,
                  FAILED, 0},
        Situation{"BudgetSpentWithoutAStep", AttemptEnd::INFRASTRUCTURE, kNone, false, 2, false,
                  Next::kHold, PENDING, 0},
        Situation{"Hung", AttemptEnd::STOPPED, HANG, false, 0, true, Next::kAgain, PENDING, 1'000},
        Situation{"HungOnceTooOften", AttemptEnd::STOPPED, HANG, false, 2, true, Next::kEnd, FAILED,
                  0},
        Situation{"NeverStarted", AttemptEnd::NEVER_STARTED, kNone, false, 0, false, Next::kAgain,
                  PENDING, 1'000},
        Situation{"Preempted", AttemptEnd::SAVED, PREEMPTED, false, 2, true, Next::kAgain, PENDING,
                  0},
        Situation{"PreemptedWithoutSaving", AttemptEnd::STOPPED, PREEMPTED, false, 2, true,
                  Next::kAgain, PENDING, 0},
        Situation{"Fenced", AttemptEnd::STOPPED, FENCED, false, 2, true, Next::kAgain, PENDING, 0},
        Situation{"TimeLimitSaved", AttemptEnd::SAVED, TIME_LIMIT, false, 0, true, Next::kAgain,
                  PENDING, 0},
        Situation{"TimeLimit", AttemptEnd::STOPPED, TIME_LIMIT, false, 0, true, Next::kEnd, FAILED,
                  0},
        Situation{"SavedByItself", AttemptEnd::SAVED, kNone, false, 2, true, Next::kAgain, PENDING,
                  1'000}),
    [](const auto& info) { return info.param.name; });

class CoreRestart : public ::testing::Test {
 protected:
  void SetUp() override {
    driver.AddNode("a");
    driver.AddNode("b");
    JobSpec spec = CoreDriver::Spec();
    spec.mutable_restart()->set_retries(1);
    spec.mutable_restart()->set_first_delay_ms(10'000);
    job = driver.SubmitOne(spec);
  }
  CoreDriver driver;
  uint64_t job = 0;
};

TEST_F(CoreRestart, AUserErrorFailsTheJobAndKeepsWhatItSaid) {
  driver.Run(job, {"a"});
  AttemptEnd& end = *driver.Part(job, "a").mutable_end();
  end.set_message("recipe.yaml:3: no such file");
  end.set_log_tail("last words\n");
  end.set_rank(0);
  driver.SayEnded(job, "a", AttemptEnd::USER_ERROR);
  EXPECT_EQ(driver.state(job), FAILED);
  EXPECT_THAT(driver.job(job).end_message(), HasSubstr("recipe.yaml:3: no such file"));
  EXPECT_EQ(driver.job(job).attempt().end().log_tail(), "last words\n");
  EXPECT_EQ(driver.node("a").suspicions(), 0);
}

TEST_F(CoreRestart, ABackOffEndsWhateverTheWallClockDoes) {
  driver.Run(job, {"a"});
  driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(driver.job(job).not_before_ms(),
            driver.outcome.commit.events.back().time_ms() + 10'000);
  driver.now.wall_ms -= 24 * 3600 * 1000;
  EXPECT_LE(driver.core->NextTick(), driver.now.steady_ms + 10'000);
  driver.Wait(10'000, {"a", "b"});
  driver.Place(job, {"b"});
  EXPECT_GE(driver.job(job).attempt().placed_ms(), driver.job(job).earlier_attempts(0).ended_ms());
}

TEST_F(CoreRestart, APublishedCheckpointRefillsTheBudget) {
  for (int attempt = 1; attempt <= 4; ++attempt) {
    driver.Run(job, {"a"});
    PartReport& part = driver.Part(job, "a");
    part.mutable_checkpoint()->set_step(attempt);
    part.mutable_checkpoint()->set_folder("/data/job-1/attempt-" + std::to_string(attempt) +
                                          "/checkpoints/step");
    driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
    ASSERT_EQ(driver.state(job), PENDING);
    EXPECT_EQ(driver.job(job).failures(), 1);
    driver.Step(ChangeNodeInput{ChangeNodeInput::Kind::kResume, "root", "a", "", "", false});
  }
  driver.Run(job, {"a"});
  driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(driver.state(job), FAILED);
  EXPECT_THAT(driver.job(job).end_message(), HasSubstr("since the checkpoint of step 4"));
}

TEST_F(CoreRestart, AJobThatNeverGetsToAStepIsHeldAndReleasedWithAWholeBudget) {
  for (int i = 0; i < 2; ++i) {
    driver.Run(job, {"a"});
    driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
  }
  EXPECT_EQ(driver.state(job), PENDING);
  EXPECT_TRUE(driver.job(job).held());
  EXPECT_THAT(driver.job(job).hold_reason(), HasSubstr("before their first step"));
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kRelease, job).ok());
  EXPECT_EQ(driver.job(job).failures(), 0);
  driver.Place(job, {"b"});
}

TEST_F(CoreRestart, FaultsInARowDrainANodeAndASuccessClearsThem) {
  CoreDriver many;
  many.AddNode("a");
  const auto run = [&](AttemptEnd::Kind kind, int signal) {
    const uint64_t id = many.SubmitOne();
    many.Run(id, {"a"});
    many.Part(id, "a").mutable_end()->set_signal(signal);
    many.SayEnded(id, "a", kind);
  };
  run(AttemptEnd::INFRASTRUCTURE, 9);
  run(AttemptEnd::INFRASTRUCTURE, 0);
  EXPECT_EQ(many.node("a").suspicions(), 2);
  run(AttemptEnd::FINISHED, 0);
  EXPECT_EQ(many.node("a").suspicions(), 0);
  for (int i = 0; i < 3; ++i) run(AttemptEnd::INFRASTRUCTURE, 9);
  EXPECT_TRUE(many.node("a").draining());
  EXPECT_THAT(many.node("a").drain_reason(), HasSubstr("3 faults in a row"));
  many.Step(ChangeNodeInput{ChangeNodeInput::Kind::kResume, "root", "a", "", "", false});
  EXPECT_FALSE(many.node("a").draining());
  EXPECT_EQ(many.node("a").suspicions(), 0);
}

TEST_F(CoreRestart, OneJobThatDiesOfSignalsDrainsNoNode) {
  JobSpec spec = CoreDriver::Spec();
  spec.mutable_restart()->set_retries(9);
  const uint64_t id = driver.SubmitOne(spec);
  for (int i = 0; i < 5; ++i) {
    driver.Run(id, {"a"});
    driver.Part(id, "a").mutable_end()->set_signal(11);
    driver.SayEnded(id, "a", AttemptEnd::INFRASTRUCTURE);
  }
  EXPECT_EQ(driver.node("a").suspicions(), 1);
}

// What an agent says of a node that it doesn't reach.
void SayUnreached(CoreDriver& driver, uint64_t job, const std::string& node,
                  const std::string& unreached) {
  driver.Part(job, node).mutable_end()->set_unreached_node(unreached);
  driver.SayEnded(job, node, AttemptEnd::INFRASTRUCTURE);
}

TEST_F(CoreRestart, OfTwoNodesThatDontReachEachOtherBothAreSuspectedOnceByAJob) {
  driver.AddNode("c");
  JobSpec spec = CoreDriver::Spec(3);
  spec.mutable_restart()->set_retries(9);
  const uint64_t gang = driver.SubmitOne(spec);
  for (int i = 0; i < 4; ++i) {
    driver.Run(gang, {"a", "b", "c"});
    SayUnreached(driver, gang, "a", "b");
    for (const char* name : {"b", "c"}) driver.SayEnded(gang, name, AttemptEnd::STOPPED);
    ASSERT_EQ(driver.state(gang), PENDING);
    EXPECT_EQ(driver.job(gang).attempt().end().unreached_node(), "b");
    EXPECT_EQ(driver.node("a").suspicions(), 1);
    EXPECT_EQ(driver.node("b").suspicions(), 1);
    EXPECT_EQ(driver.node("c").suspicions(), 0);
  }
}

TEST_F(CoreRestart, ANodeThatIsNotOfTheGangIsNotSaidToBeUnreached) {
  driver.Run(job, {"a"});
  SayUnreached(driver, job, "a", "b");
  EXPECT_EQ(driver.job(job).attempt().end().unreached_node(), "");
  EXPECT_EQ(driver.node("b").suspicions(), 0);
}

TEST(NodesToAvoid, AreThoseThatFailedTheJobSinceItsLastCheckpoint) {
  Job job;
  const auto add = [&job](AttemptEnd::Kind kind, const std::string& node, int signal = 0) {
    if (job.has_attempt()) *job.add_earlier_attempts() = job.attempt();
    AttemptEnd& end = *job.mutable_attempt()->mutable_end();
    end.Clear();
    end.set_kind(kind);
    end.set_node(node);
    end.set_signal(signal);
    return &end;
  };
  EXPECT_THAT(NodesToAvoid(job), ElementsAre());
  add(AttemptEnd::INFRASTRUCTURE, "before");
  add(AttemptEnd::NEVER_STARTED, "b");
  add(AttemptEnd::INFRASTRUCTURE, "a")->set_unreached_node("c");
  job.set_failures(2);
  EXPECT_THAT(NodesToAvoid(job), ElementsAre("a", "b", "c"));
  add(AttemptEnd::INFRASTRUCTURE, "d", /*signal=*/9);  // its own program's doing, maybe
  add(AttemptEnd::USER_ERROR, "e");
  EXPECT_THAT(NodesToAvoid(job), ElementsAre());
  job.set_failures(3);
  EXPECT_THAT(NodesToAvoid(job), ElementsAre("a", "c"));
  job.set_failures(100);
  EXPECT_THAT(NodesToAvoid(job), ElementsAre("a", "b", "before", "c"));
  add(AttemptEnd::INFRASTRUCTURE, "c");
  EXPECT_THAT(NodesToAvoid(job), ElementsAre("c", "a", "b", "before"));
  job.set_failures(0);  // it has published a checkpoint since
  EXPECT_THAT(NodesToAvoid(job), ElementsAre());
}

TEST_F(CoreRestart, ANodeThatIsLostBeforeItToldOfTheAttemptCostsNoRetry) {
  driver.Place(job, {"a"});
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms + 100, {"b"});
  EXPECT_EQ(driver.state(job), PENDING);
  EXPECT_EQ(driver.job(job).failures(), 0);
  EXPECT_GT(driver.job(job).not_before_ms(), 0);
}

TEST_F(CoreRestart, ALostNodesJobBeginsElsewhereAtOnceButTheSecondTimeItWaits) {
  driver.AddNode("c");
  JobSpec spec = driver.job(job).spec();
  spec.mutable_restart()->set_retries(2);
  job = driver.SubmitOne(spec);
  const int64_t lost = driver.options.lease_ms + driver.options.grace_ms + 100;
  driver.Run(job, {"a"});
  driver.Wait(lost, {"b", "c"});
  EXPECT_EQ(driver.state(job), PENDING);
  EXPECT_EQ(driver.job(job).failures(), 1);
  EXPECT_EQ(driver.job(job).not_before_ms(), 0);
  driver.Run(job, {"b"});
  driver.Wait(lost, {"c"});
  EXPECT_EQ(driver.state(job), PENDING);
  EXPECT_GT(driver.job(job).not_before_ms(), driver.now.wall_ms);
}

TEST_F(CoreRestart, WhatAgentsSayIsCutToSize) {
  driver.Run(job, {"a"});
  AttemptEnd& end = *driver.Part(job, "a").mutable_end();
  end.set_message(std::string(1 << 20, 'm'));
  end.set_log_tail(std::string(1 << 20, 'x') + "end");
  driver.SayEnded(job, "a", AttemptEnd::USER_ERROR);
  EXPECT_LE(driver.job(job).ByteSizeLong(), 32u << 10);
  EXPECT_THAT(driver.job(job).attempt().end().log_tail(), ::testing::EndsWith("xend"));
}

TEST_F(CoreRestart, ALargeGangsRecordStaysSmallHoweverOftenItIsTriedAgain) {
  JobSpec spec = CoreDriver::Spec();
  spec.mutable_restart()->set_retries(100);
  const uint64_t id = driver.SubmitOne(spec);
  Cluster cluster = driver.core->cluster();
  for (int i = 0; i < 40; ++i) {
    HistoryEvent event;
    event.set_sequence(cluster.last_sequence + 1);
    Attempt& attempt = *event.mutable_attempt_placed()->mutable_attempt();
    attempt.mutable_token()->set_epoch(1);
    attempt.mutable_token()->set_job(id);
    attempt.mutable_token()->set_attempt(i + 1);
    for (int rank = 0; rank < 1000; ++rank) attempt.add_placements()->set_node("a");
    ASSERT_TRUE(Apply(event, cluster, nullptr).ok());
    const AttemptToken token = attempt.token();
    event.set_sequence(cluster.last_sequence + 1);
    *event.mutable_part_ended()->mutable_token() = token;
    event.mutable_part_ended()->set_node("a");
    ASSERT_TRUE(Apply(event, cluster, nullptr).ok());
    event.set_sequence(cluster.last_sequence + 1);
    *event.mutable_attempt_ended()->mutable_token() = token;
    ASSERT_TRUE(Apply(event, cluster, nullptr).ok());
  }
  EXPECT_EQ(cluster.jobs.at(id).earlier_attempts_size(), 16);
  EXPECT_LT(cluster.jobs.at(id).ByteSizeLong(), 32u << 10);
}

TEST_F(CoreRestart, AHangIsStoppedAndTriedAgain) {
  driver.Run(job, {"a"});
  driver.Part(job, "a").set_hung(true);
  driver.Report("a");
  EXPECT_EQ(driver.Order(job, "a")->stop(), HANG);
  driver.SayEnded(job, "a", AttemptEnd::STOPPED);
  EXPECT_EQ(driver.state(job), PENDING);
  EXPECT_EQ(driver.job(job).attempt().end().kind(), AttemptEnd::HUNG);
  EXPECT_THAT(driver.job(job).attempt().end().message(), HasSubstr("no step for too long"));
}

}  // namespace
}  // namespace tanren::coordinator
