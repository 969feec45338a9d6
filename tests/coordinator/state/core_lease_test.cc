// Leases: silence is no failure until lease and grace have passed.
#include "coordinator/state/renewal.h"
#include "coordinator/state/schedule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

class CoreLease : public ::testing::Test {
 protected:
  void SetUp() override {
    driver.AddNode("a");
    driver.AddNode("b");
    job = driver.SubmitOne(CoreDriver::Spec(2));
    driver.Run(job, {"a", "b"});
  }
  // A job that waits, beside a node that gives such to Slurm.
  uint64_t SubmitForSlurm() {
    JoinInput join;
    join.node.set_name("cluster");
    join.node.set_launcher("slurm");
    for (int i = 0; i < 4; ++i) join.node.add_gpus()->set_index(i);
    driver.Step(join);
    driver.Report("cluster");
    JobSpec spec = CoreDriver::Spec(1);
    spec.set_launcher("slurm");
    return driver.SubmitOne(spec);
  }
  CoreDriver driver;
  uint64_t job = 0;
};

TEST_F(CoreLease, ASilentNodeMakesItsJobsUnknownAndComesBackInTime) {
  driver.Wait(driver.options.silent_ms + 100, {"a"});
  EXPECT_EQ(driver.node("b").state(), Node::SILENT);
  EXPECT_EQ(driver.state(job), UNKNOWN);
  EXPECT_EQ(driver.core->cluster().loads.at("b").gpus_free, 3) << "given away too early";
  driver.Report("b");
  EXPECT_EQ(driver.node("b").state(), Node::UP);
  EXPECT_EQ(driver.state(job), RUNNING);
}

TEST_F(CoreLease, AJobIsFoundAgainOnlyWhenNoneOfItsNodesIsSilent) {
  driver.Wait(driver.options.silent_ms + 100);
  EXPECT_EQ(driver.state(job), UNKNOWN);
  driver.Report("b");
  EXPECT_EQ(driver.state(job), UNKNOWN);
  driver.Report("a");
  EXPECT_EQ(driver.state(job), RUNNING);
}

TEST_F(CoreLease, WhatALostNodeHeldEndsAfterLeaseAndGraceAndNotBefore) {
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms - 100, {"a"});
  EXPECT_EQ(driver.state(job), UNKNOWN);
  EXPECT_EQ(driver.Order(job, "a")->stop(), STOP_REASON_UNSPECIFIED);
  driver.Wait(200, {"a"});
  EXPECT_EQ(driver.node("b").state(), Node::LOST);
  EXPECT_EQ(driver.state(job), STOPPING);
  EXPECT_EQ(driver.Order(job, "a")->stop(), NODE_LOST);
  driver.SayEnded(job, "a", AttemptEnd::STOPPED);
  EXPECT_EQ(driver.state(job), PENDING);
  EXPECT_EQ(driver.job(job).attempt().end().kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(driver.job(job).attempt().end().node(), "b");
  EXPECT_EQ(driver.job(job).failures(), 1);
  EXPECT_EQ(driver.node("b").suspicions(), 1);
}

TEST_F(CoreLease, AllNodesLostEndTheAttemptWithoutAnybodysReport) {
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms + 100);
  EXPECT_EQ(driver.state(job), PENDING);
}

TEST_F(CoreLease, WhatAnAgentGaveToSlurmIsUnknownUntilItsAgentSpeaksHoweverLongThatTakes) {
  const uint64_t batch = SubmitForSlurm();
  driver.Run(batch, {"cluster"});
  driver.Wait(100 * driver.options.lease_ms, {"a", "b"});
  EXPECT_EQ(driver.state(batch), UNKNOWN);
  EXPECT_EQ(driver.node("cluster").state(), Node::SILENT);
  driver.Report("cluster");
  EXPECT_EQ(driver.state(batch), RUNNING);
  driver.SayEnded(batch, "cluster", AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(driver.node("cluster").suspicions(), 0) << "Slurm watches its own nodes";
}

TEST_F(CoreLease, WhyAJobWaitsInSlurmIsToldUntilItRuns) {
  const uint64_t batch = SubmitForSlurm();
  driver.Place(batch, {"cluster"});
  const auto why = [&] {
    return Explain(driver.core->cluster(), driver.options.schedule, batch, driver.now).text();
  };
  const auto part = [&]() -> PartReport& { return driver.Part(batch, "cluster"); };
  part().set_slurm_job("77");
  driver.Say(batch, "cluster", PART_STARTING);
  EXPECT_THAT(why(), testing::Not(testing::HasSubstr("77")));
  part().set_slurm_reason("AssocGrpCpuLimit");
  driver.Report("cluster");
  EXPECT_THAT(why(), testing::HasSubstr("Slurm's job 77 waits there: AssocGrpCpuLimit"));
  driver.Report("cluster");
  EXPECT_THAT(driver.Kinds(), testing::IsEmpty()) << "what is known isn't written again";
  part().set_slurm_reason("\033[2J");
  driver.Report("cluster");
  EXPECT_THAT(why(), testing::HasSubstr("AssocGrpCpuLimit"));
  part().clear_slurm_reason();
  driver.Say(batch, "cluster", PART_RUNNING);
  EXPECT_THAT(why(), testing::Not(testing::HasSubstr("waits")));
  EXPECT_EQ(driver.job(batch).attempt().slurm_reason(), "");
}

TEST_F(CoreLease, AStoppingJobOnASilentNodeIsUnknownUntilItIsHeardOf) {
  driver.Wait(driver.options.silent_ms + 100, {"a"});
  driver.Cancel(job);
  EXPECT_EQ(driver.state(job), UNKNOWN);
  EXPECT_EQ(driver.Order(job, "a")->stop(), CANCELLED_BY_USER);
  driver.Report("b");
  EXPECT_EQ(driver.state(job), STOPPING);
  EXPECT_EQ(driver.Order(job, "b")->stop(), CANCELLED_BY_USER);
}

TEST_F(CoreLease, ACoordinatorThatWasAwayTakesAllLeasesAsRenewed) {
  driver.now.wall_ms += 3'600'000;
  driver.now.steady_ms += 3'600'000;
  driver.Restart();
  driver.Step(TickInput{});
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Wait(driver.options.silent_ms - 100);
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Report("a");
  driver.Report("b");
  driver.Wait(4'000);
  EXPECT_EQ(driver.state(job), RUNNING) << "what runs is adopted";
}

TEST_F(CoreLease, ANodeThatStaysAwayAfterARestartIsLostByLeaseAndGraceFromThen) {
  driver.Restart();
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms - 100, {"a"});
  EXPECT_EQ(driver.state(job), UNKNOWN);
  driver.Wait(200, {"a"});
  EXPECT_EQ(driver.state(job), STOPPING);
}

TEST_F(CoreLease, ACoordinatorThatStoodStillBlamesNoNode) {
  driver.Wait(1'000, {});
  driver.now.wall_ms += 60'000;  // stopped for a minute: reports wait in its queue
  driver.now.steady_ms += 60'000;
  driver.Step(TickInput{});
  EXPECT_EQ(driver.node("a").state(), Node::UP);
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms);
  EXPECT_EQ(driver.node("a").state(), Node::LOST) << "but it is blamed for what follows";
}

TEST_F(CoreLease, NothingIsPlacedOnANodeThatWasNotHeardOfSinceTheStart) {
  const uint64_t next = driver.SubmitOne();
  driver.Restart();
  driver.TryToPlace(next, {"a"});
  EXPECT_EQ(driver.state(next), PENDING);
  driver.Report("a");
  driver.Place(next, {"a"});
}

TEST_F(CoreLease, WhatSlurmRunsIsNotGivenUpWhileOurAgentIsAway) {
  JoinInput join;
  join.node.set_name("cluster");
  join.node.set_launcher("slurm");
  driver.Step(join);
  driver.Report("cluster");
  JobSpec spec = CoreDriver::Spec();
  spec.set_launcher("slurm");
  const uint64_t slurm = driver.SubmitOne(spec);
  driver.Run(slurm, {"cluster"});
  driver.Wait(3'600'000, {"a", "b"});
  EXPECT_EQ(driver.node("cluster").state(), Node::SILENT);
  EXPECT_EQ(driver.state(slurm), UNKNOWN);
  driver.Report("cluster");
  EXPECT_EQ(driver.state(slurm), RUNNING);
  driver.Wait(60'000, {"a", "b"});
  ChangeNodeInput remove;
  remove.kind = ChangeNodeInput::Kind::kRemove;
  remove.node = "cluster";
  EXPECT_TRUE(driver.Step(remove).status.ok()) << driver.outcome.status;
  EXPECT_EQ(driver.state(slurm), PENDING);
}

TEST_F(CoreLease, ASilentNodeIsNotRemovedBeforeItsLeaseHasPassed) {
  driver.Wait(driver.options.silent_ms + 100, {"a"});
  ChangeNodeInput remove;
  remove.kind = ChangeNodeInput::Kind::kRemove;
  remove.node = "b";
  EXPECT_EQ(driver.Step(remove).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(driver.state(job), UNKNOWN);
}

TEST_F(CoreLease, AnEndThatALostNodeReportsLaterChangesNothing) {
  const auto held = driver.holds["b"];
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms + 100, {"a"});
  ASSERT_EQ(driver.state(job), STOPPING);
  driver.holds["b"] = held;
  driver.SayEnded(job, "b", AttemptEnd::USER_ERROR);
  EXPECT_EQ(driver.node("b").state(), Node::UP);
  driver.SayEnded(job, "a", AttemptEnd::STOPPED);
  EXPECT_EQ(driver.state(job), PENDING);
  driver.Report("b");
  EXPECT_FALSE(driver.Order(job, "b").has_value());
}

TEST_F(CoreLease, ARenewalWithoutAWriteNamesAllThatIsHeldAndBeginsNothing) {
  const uint64_t placed = driver.SubmitOne();
  driver.Place(placed, {"b"});
  Orders orders = RenewalOnly(driver.core->cluster(), "b", 10'000, 7, 3);
  EXPECT_EQ(orders.sequence(), 7u);
  EXPECT_EQ(orders.renewed_report(), 3u);
  EXPECT_EQ(orders.epoch(), driver.core->cluster().epoch);
  ASSERT_EQ(orders.parts_size(), 2);
  EXPECT_TRUE(orders.parts(0).token() == driver.token(job));
  EXPECT_TRUE(orders.parts(1).token() == driver.token(placed));
  EXPECT_EQ(orders.parts(0).stop(), STOP_REASON_UNSPECIFIED);
  EXPECT_FALSE(orders.parts(1).has_start());
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms + 100, {"a"});
  // It was lost: what it held is over there, and its gang on its way.
  orders = RenewalOnly(driver.core->cluster(), "b", 10'000, 8, 4);
  ASSERT_EQ(orders.parts_size(), 1);
  EXPECT_TRUE(orders.parts(0).token() == driver.token(job));
  EXPECT_EQ(orders.parts(0).stop(), PART_FAILED);
}

TEST_F(CoreLease, OnlyTheIncarnationThatIsKnownIsRenewedWithoutAWrite) {
  Node told = driver.node("a");
  told.set_version("a later one");
  EXPECT_TRUE(IsKnownAs(told, driver.core->cluster()));
  told.set_incarnation("another");
  EXPECT_FALSE(IsKnownAs(told, driver.core->cluster()));
  told.set_name("nobody");
  EXPECT_FALSE(IsKnownAs(told, driver.core->cluster()));
}

}  // namespace
}  // namespace tanren::coordinator
