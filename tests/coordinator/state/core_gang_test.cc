// Gangs: whole or not at all.
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

class CoreGang : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b", "c"}) driver.AddNode(name);
    job = driver.SubmitOne(CoreDriver::Spec(3));
  }
  CoreDriver driver;
  uint64_t job = 0;
};

TEST_F(CoreGang, RunsOnceAllOfItRuns) {
  driver.Place(job, {"a", "b", "c"});
  driver.Say(job, "a", PART_RUNNING);
  EXPECT_EQ(driver.state(job), STARTING);
  driver.Say(job, "b", PART_RUNNING);
  EXPECT_EQ(driver.state(job), STARTING);
  driver.Say(job, "c", PART_RUNNING);
  EXPECT_EQ(driver.state(job), RUNNING);
}

TEST_F(CoreGang, APartThatEndsBadlyStopsTheOthersAndSpeaksForThem) {
  for (const AttemptEnd::Kind kind : {AttemptEnd::INFRASTRUCTURE, AttemptEnd::NEVER_STARTED,
                                      AttemptEnd::HUNG, AttemptEnd::STOPPED}) {
    CoreDriver gang;
    for (const char* name : {"a", "b", "c"}) gang.AddNode(name);
    const uint64_t id = gang.SubmitOne(CoreDriver::Spec(3));
    gang.Run(id, {"a", "b", "c"});
    gang.SayEnded(id, "b", kind);
    EXPECT_EQ(gang.state(id), STOPPING);
    EXPECT_EQ(gang.job(id).attempt().stop_reason(), PART_FAILED);
    EXPECT_EQ(gang.Order(id, "a")->stop(), PART_FAILED);
    EXPECT_EQ(gang.Order(id, "c")->stop(), PART_FAILED);
    gang.SayEnded(id, "a", AttemptEnd::USER_ERROR);  // its peers are gone: no fault of its own
    EXPECT_EQ(gang.state(id), STOPPING) << "part c may live";
    gang.SayEnded(id, "c", AttemptEnd::STOPPED);
    EXPECT_EQ(gang.state(id), PENDING);
    EXPECT_EQ(gang.job(id).attempt().end().kind(), kind);
    EXPECT_EQ(gang.job(id).attempt().end().node(), "b");
  }
}

TEST_F(CoreGang, IsToldWhereItsNodesAreReached) {
  Node node = driver.node("b");
  node.set_reach("10.0.0.2:4711");
  driver.Step(JoinInput{node, 2});
  NodeReport report;
  report.set_sequence(1);
  driver.Step(ReportInput{"b", report, 2});
  driver.Place(job, {"a", "b", "c"});
  const PartSpec start = driver.Order(job, "a")->start();
  ASSERT_EQ(start.reach_size(), 1);
  EXPECT_EQ(start.reach().at("b"), "10.0.0.2:4711");
}

TEST_F(CoreGang, WhatALostNodeLeavesWaitsForNothing) {
  driver.Run(job, {"a", "b", "c"});
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms + 100, {"a", "c"});
  EXPECT_EQ(driver.Order(job, "a")->stop(), NODE_LOST);
  EXPECT_LE(driver.Order(job, "a")->grace_ms(), 1'000);
}

TEST_F(CoreGang, TheHeadsGoodEndSendsTheOthersHome) {
  driver.Run(job, {"a", "b", "c"});
  driver.SayEnded(job, "a", AttemptEnd::FINISHED);
  EXPECT_EQ(driver.Order(job, "b")->stop(), HEAD_ENDED);
  EXPECT_EQ(driver.Order(job, "c")->stop(), HEAD_ENDED);
  driver.SayEnded(job, "b", AttemptEnd::STOPPED);
  driver.SayEnded(job, "c", AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(driver.state(job), SUCCEEDED);
}

TEST_F(CoreGang, AHeadThatFinishedHasFinishedThoughAnotherPartWasLostMeanwhile) {
  driver.Run(job, {"a", "b", "c"});
  driver.SayEnded(job, "b", AttemptEnd::INFRASTRUCTURE);
  driver.SayEnded(job, "a", AttemptEnd::FINISHED);
  driver.SayEnded(job, "c", AttemptEnd::STOPPED);
  EXPECT_EQ(driver.state(job), SUCCEEDED);
}

TEST_F(CoreGang, AnEndedPartIsNamedUntilTheAttemptHasEndedEverywhere) {
  driver.Run(job, {"a", "b", "c"});
  driver.SayEnded(job, "b", AttemptEnd::INFRASTRUCTURE);
  driver.Report("b");
  EXPECT_TRUE(driver.Order(job, "b").has_value());
  EXPECT_FALSE(driver.Order(job, "b")->has_start());
  driver.SayEnded(job, "a", AttemptEnd::STOPPED);
  driver.SayEnded(job, "c", AttemptEnd::STOPPED);
  driver.Report("b");
  EXPECT_FALSE(driver.Order(job, "b").has_value());
}

TEST_F(CoreGang, WhatAnEndedPartHeldIsFreeBeforeTheGangHasEnded) {
  driver.Run(job, {"a", "b", "c"});
  driver.SayEnded(job, "b", AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(driver.core->cluster().loads.at("b").gpus_free, 4);
  EXPECT_EQ(driver.core->cluster().loads.at("a").gpus_free, 3);
}

TEST_F(CoreGang, AnAgentThatKnowsNothingOfARunningPartHasLostIt) {
  driver.Run(job, {"a", "b", "c"});
  Node node = driver.node("b");
  node.set_incarnation("another");
  driver.Step(JoinInput{node});
  EXPECT_EQ(driver.state(job), RUNNING) << "it may have adopted what runs: its report will tell";
  driver.Report("b");
  EXPECT_EQ(driver.state(job), RUNNING) << "it has";
  driver.Step(JoinInput{node});
  driver.holds["b"].clear();
  driver.Report("b");
  EXPECT_EQ(driver.state(job), STOPPING);
  EXPECT_EQ(driver.job(job).attempt().end().node(), "b");
}

TEST_F(CoreGang, OnlyLivingPartsOfThePresentAttemptMayAct) {
  driver.Place(job, {"a", "b"});
  const AttemptToken token = driver.token(job);
  EXPECT_TRUE(driver.core->MayAct(token, "a"));
  EXPECT_TRUE(driver.core->MayAct(token, "b"));
  EXPECT_FALSE(driver.core->MayAct(token, "c"));
  AttemptToken other = token;
  other.set_attempt(2);
  EXPECT_FALSE(driver.core->MayAct(other, "a"));
  other = token;
  other.set_epoch(2);
  EXPECT_FALSE(driver.core->MayAct(other, "a"));
  driver.Cancel(job);
  EXPECT_FALSE(driver.core->MayAct(token, "a"));
}

}  // namespace
}  // namespace tanren::coordinator
