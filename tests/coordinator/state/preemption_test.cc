// Who gives way to whom.
#include "coordinator/state/schedule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/cluster_builder.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

JobSpec WithPriority(int priority, JobSpec spec) {
  spec.set_priority(priority);
  return spec;
}
JobSpec WithLimit(int64_t ms, JobSpec spec) {
  spec.set_time_limit_ms(ms);
  return spec;
}
JobSpec Preemptible(JobSpec spec) {
  spec.set_preemptible(true);
  return spec;
}

TEST(Preemption, TheVictimsAreThoseThatLoseTheLeast) {
  ClusterBuilder builder;
  builder.AddNodes(3, 8);
  const uint64_t longest = builder.RunOn("t1", 8, Preemptible(Gang(8, 1)));
  builder.Wait(kHour);
  const uint64_t saved = builder.RunOn("t2", 8, Preemptible(Gang(8, 1)));
  builder.Wait(kMinute);
  const uint64_t young = builder.RunOn("t3", 8, Preemptible(Gang(8, 1)));
  builder.Wait(kMinute);
  const uint64_t urgent = builder.Submit(WithPriority(1, Gang(8, 1)));
  EXPECT_THAT(Victims(builder.Pass()), ElementsAre(young));
  // A checkpoint makes the loss small.
  Checkpoint& checkpoint = *builder.job(saved).mutable_checkpoint();
  checkpoint.set_attempt(1);
  checkpoint.set_published_ms(builder.now.wall_ms - 1000);
  const Plan plan = builder.Pass();
  EXPECT_THAT(Victims(plan), ElementsAre(saved));
  EXPECT_EQ(plan.preemptions[0].beneficiary, urgent);
  EXPECT_EQ(WhatIsWrong(builder.cluster, plan), "");
  (void)longest;
}

TEST(Preemption, ACheckpointOfAnEarlierAttemptSavesNothingOfThisOne) {
  ClusterBuilder builder;
  builder.AddNodes(2, 8);
  const uint64_t resumed = builder.RunOn("t1", 8, Preemptible(Gang(8, 1)));
  Checkpoint& checkpoint = *builder.job(resumed).mutable_checkpoint();
  checkpoint.set_attempt(0);
  checkpoint.set_published_ms(kStart + kHour);
  builder.Wait(kMinute);
  const uint64_t young = builder.RunOn("t2", 8, Preemptible(Gang(8, 1)));
  builder.Wait(kMinute);
  builder.Submit(WithPriority(1, Gang(8, 1)));
  EXPECT_THAT(Victims(builder.Pass()), ElementsAre(young));
}

TEST(Preemption, NoMoreGiveWayThanMust) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  const uint64_t small = builder.RunOn("t1", 2, Preemptible(Gang(2, 1)));
  builder.Wait(1);
  const uint64_t big = builder.RunOn("t1", 6, Preemptible(Gang(6, 1)));
  builder.Wait(1);
  builder.Submit(WithPriority(1, Gang(6, 1)));
  EXPECT_THAT(Victims(builder.Pass()), ElementsAre(big)) << "without job " << small;
}

TEST(Preemption, OneBigLossIsTakenBeforeManySmallOnesThatAddUpToMore) {
  ClusterBuilder builder;
  builder.AddNodes(2, 8);
  for (int i = 0; i < 8; ++i) builder.RunOn("t1", 1, Preemptible(Gang(1, 1)));
  builder.Wait(kMinute);
  const uint64_t one = builder.RunOn("t2", 8, Preemptible(Gang(8, 1)));
  builder.Wait(kMinute);
  builder.Submit(WithPriority(1, Gang(8, 1)));
  EXPECT_THAT(Victims(builder.Pass()), ElementsAre(one));
}

TEST(Preemption, AGangThatLosesLittleGivesWayBeforeManyThatLoseMore) {
  ClusterBuilder builder;
  builder.AddNodes(4, 8);
  for (const char* node : {"t1", "t2"}) {
    for (int i = 0; i < 4; ++i) builder.RunOn(node, 2, Preemptible(Gang(2, 1)));
  }
  builder.Wait(kMinute);  // each of those loses two GPU minutes, sixteen in all
  const uint64_t gang = builder.Submit(Preemptible(Gang(16, 1)));
  builder.Follow(builder.Pass());
  ASSERT_EQ(builder.job(gang).state(), RUNNING);
  builder.Wait(kMinute / 4);  // it loses four
  builder.Submit(WithPriority(1, Gang(16, 1)));
  EXPECT_THAT(Victims(builder.Pass()), ElementsAre(gang));
}

TEST(Preemption, OnlyPreemptibleJobsOfLowerPriorityGiveWay) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.RunOn("t1", 4, Gang(4, 1));
  builder.RunOn("t1", 4, WithPriority(1, Preemptible(Gang(4, 1))));
  builder.Submit(WithPriority(1, Gang(4, 1)));
  EXPECT_THAT(builder.Pass().preemptions, IsEmpty());
}

TEST(Preemption, AgeingDoesNotStopOthers) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.RunOn("t1", 8, Preemptible(Gang(8, 1)));
  builder.Submit(Gang(8, 1));
  builder.Wait(30 * 24 * kHour);
  EXPECT_THAT(builder.Pass().preemptions, IsEmpty());
}

TEST(Preemption, NobodyIsStoppedInVain) {
  ClusterBuilder builder;
  builder.AddNodes(2, 8);
  builder.RunOn("t1", 8, Preemptible(Gang(8, 1)));
  builder.RunOn("t2", 8, Gang(8, 1));
  builder.Submit(WithPriority(1, Gang(16, 1)));
  EXPECT_THAT(builder.Pass().preemptions, IsEmpty());
}

TEST(Preemption, IsNotRepeatedWhileVictimsAreStopping) {
  ClusterBuilder builder;
  builder.AddNodes(2, 8);
  builder.RunOn("t1", 8, Preemptible(Gang(8, 1)));
  builder.RunOn("t2", 8, Preemptible(Gang(8, 1)));
  const uint64_t urgent = builder.Submit(WithPriority(1, Gang(8, 1)));
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.preemptions.size(), 1u);
  builder.Follow(plan);
  EXPECT_THAT(builder.Pass().preemptions, IsEmpty());
  builder.End(plan.preemptions[0].victim, PENDING);
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(urgent));
}

TEST(Preemption, WhatVictimsLeaveIsKeptForTheirBeneficiary) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  const uint64_t first = builder.RunOn("t1", 4, Preemptible(Gang(4, 1)));
  const uint64_t second = builder.RunOn("t1", 4, Preemptible(Gang(4, 1)));
  builder.Submit(WithPriority(2, Gang(8, 1)));
  builder.Submit(WithPriority(1, WithLimit(kMinute, Gang(4, 1))));
  builder.Follow(builder.Pass());
  EXPECT_EQ(builder.job(second).state(), STOPPING);
  builder.End(first, PENDING);
  EXPECT_THAT(builder.Pass().starts, IsEmpty());
}

TEST(Preemption, SeveralUrgentJobsAreServedInOnePass) {
  ClusterBuilder builder;
  builder.AddNodes(3, 8);
  for (const char* node : {"t1", "t2", "t3"}) builder.RunOn(node, 8, Preemptible(Gang(8, 1)));
  builder.Submit(WithPriority(1, Gang(8, 1)));
  builder.Submit(WithPriority(1, Gang(8, 1)));
  EXPECT_EQ(builder.Pass().preemptions.size(), 2u);
}

TEST(Preemption, CanBeSwitchedOff) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.RunOn("t1", 8, Preemptible(Gang(8, 1)));
  builder.Submit(WithPriority(1, Gang(8, 1)));
  builder.options.preemption = false;
  EXPECT_THAT(builder.Pass().preemptions, IsEmpty());
}

}  // namespace
}  // namespace tanren::coordinator
