// Who runs and who waits.
#include "coordinator/state/schedule.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/cluster_builder.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

JobSpec WithPriority(int priority, JobSpec spec) {
  spec.set_priority(priority);
  return spec;
}
JobSpec WithLimit(int64_t ms, JobSpec spec) {
  spec.set_time_limit_ms(ms);
  return spec;
}

// Order.

TEST(Order, HigherPriorityComesFirst) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.Submit(Gang(8, 1));
  const uint64_t urgent = builder.Submit(WithPriority(1, Gang(8, 1)));
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(urgent));
}

TEST(Order, OfEqualJobsTheOneThatWaitsLongerComesFirst) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  const uint64_t first = builder.Submit(Gang(8, 1));
  builder.Wait(1);
  builder.Submit(Gang(8, 1));
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(first));
}

TEST(Order, WaitingRaisesPriority) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  const uint64_t old = builder.Submit(Gang(8, 1));
  builder.Wait(10 * builder.options.ageing_ms - 1);
  const uint64_t urgent = builder.Submit(WithPriority(10, Gang(8, 1)));
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(urgent));
  builder.job(old).set_submitted_ms(builder.job(old).submitted_ms() - 2);
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(old));
}

TEST(FairShare, WhoHadLessComesFirst) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.cluster.usage["user/alice"].set_gpu_seconds(1000);
  builder.cluster.usage["user/alice"].set_at_ms(kStart);
  builder.Submit(Gang(8, 1), "alice");
  const uint64_t hers = builder.Submit(Gang(8, 1), "bea");
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(hers));
}

TEST(FairShare, AGreaterShareEntitlesToMore) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  for (const char* user : {"user/alice", "user/bea"}) {
    builder.cluster.usage[user].set_gpu_seconds(user == std::string("user/alice") ? 1500 : 1000);
    builder.cluster.usage[user].set_at_ms(kStart);
  }
  const uint64_t alices = builder.Submit(Gang(8, 1), "alice");
  const uint64_t beas = builder.Submit(Gang(8, 1), "bea");
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(beas));
  builder.SetQuota("user/alice", 0, 0, /*share=*/2);
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(alices));
}

TEST(FairShare, UseIsForgottenByHalves) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  Usage& old = builder.cluster.usage["user/alice"];
  old.set_gpu_seconds(1500);
  old.set_at_ms(kStart - builder.options.usage_half_life_ms);
  builder.cluster.usage["user/bea"].set_gpu_seconds(1000);
  builder.cluster.usage["user/bea"].set_at_ms(kStart);
  const uint64_t alices = builder.Submit(Gang(8, 1), "alice");
  builder.Submit(Gang(8, 1), "bea");
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(alices));
}

TEST(FairShare, WhatRunsNowCountsToo) {
  ClusterBuilder builder;
  builder.AddNodes(2, 8);
  builder.RunOn("t1", 8, {}, "alice");
  builder.Wait(kMinute);
  builder.Submit(Gang(8, 1), "alice");
  const uint64_t beas = builder.Submit(Gang(8, 1), "bea");
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(beas));
}

TEST(FairShare, ProjectsShareAsUsersDo) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.cluster.usage["project/vision"].set_gpu_seconds(1000);
  builder.cluster.usage["project/vision"].set_at_ms(kStart);
  JobSpec vision = Gang(8, 1), speech = Gang(8, 1);
  vision.set_project("vision");
  speech.set_project("speech");
  builder.Submit(vision);
  const uint64_t served = builder.Submit(speech);
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(served));
}

TEST(FairShare, ItWeighsNoMoreThanItsWeight) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.cluster.usage["user/alice"].set_gpu_seconds(1e9);
  builder.cluster.usage["user/alice"].set_at_ms(kStart);
  const uint64_t alices = builder.Submit(WithPriority(100, Gang(8, 1)), "alice");
  builder.Submit(Gang(8, 1), "bea");
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(alices));
}

// Eligibility.

TEST(Eligibility, HeldJobsAndThoseInBackOffWait) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  JobSpec held = Gang(1, 1);
  held.set_held(true);
  builder.Submit(held);
  const uint64_t later = builder.Submit(Gang(1, 1));
  builder.job(later).set_not_before_ms(kStart + 1);
  EXPECT_THAT(builder.Pass().starts, IsEmpty());
  builder.Wait(1);
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(later));
}

TEST(Eligibility, DependenciesAreWaitedFor) {
  struct Case {
    Dependency::Kind kind;
    JobState ended;
    bool starts;
  };
  for (const Case& one :
       {Case{Dependency::AFTER_SUCCESS, RUNNING, false},
        Case{Dependency::AFTER_SUCCESS, SUCCEEDED, true},
        Case{Dependency::AFTER_SUCCESS, FAILED, false},
        Case{Dependency::AFTER_FAILURE, SUCCEEDED, false},
        Case{Dependency::AFTER_FAILURE, FAILED, true}, Case{Dependency::AFTER_END, RUNNING, false},
        Case{Dependency::AFTER_END, CANCELLED, true}}) {
    ClusterBuilder builder;
    builder.AddNodes(1, 8);
    const uint64_t other = builder.RunOn("t1", 1);
    JobSpec spec = Gang(1, 1);
    Dependency& dependency = *spec.add_dependencies();
    dependency.set_job(other);
    dependency.set_kind(one.kind);
    builder.Submit(spec);
    if (one.ended != RUNNING) builder.End(other, one.ended);
    EXPECT_EQ(builder.Pass().starts.size(), one.starts ? 1u : 0u)
        << Dependency::Kind_Name(one.kind) << " " << JobState_Name(one.ended);
  }
}

TEST(Quota, AUserHoldsNoMoreGpusThanTheirs) {
  ClusterBuilder builder;
  builder.AddNodes(2, 8);
  builder.SetQuota("user/alice", 6);
  builder.RunOn("t1", 2);
  const uint64_t fits = builder.Submit(Gang(4, 1));
  builder.Submit(Gang(1, 1));
  const uint64_t others = builder.Submit(Gang(8, 1), "bea");
  EXPECT_THAT(Started(builder.Pass()), UnorderedElementsAre(fits, others));
}

TEST(Quota, AProjectRunsNoMoreJobsThanItMay) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.SetQuota("project/vision", 0, 2);
  JobSpec spec = Gang(1, 1);
  spec.set_project("vision");
  for (int i = 0; i < 4; ++i) builder.Submit(spec, i % 2 == 0 ? "alice" : "bea");
  EXPECT_EQ(builder.Pass().starts.size(), 2u);
}

TEST(Quota, CoresAreCounted) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.SetQuota("user/alice", 0, 0, 0, /*cpu_millis=*/2500);
  for (int i = 0; i < 4; ++i) builder.Submit(Gang(1, 1));
  EXPECT_EQ(builder.Pass().starts.size(), 2u);
}

TEST(Quota, AJobOverItKeepsNothingFromOthers) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.SetQuota("user/alice", 4);
  builder.Submit(WithPriority(9, Gang(8, 1)), "alice");
  const uint64_t beas = builder.Submit(Gang(8, 1), "bea");
  const Plan plan = builder.Pass();
  EXPECT_THAT(Started(plan), ElementsAre(beas));
  EXPECT_THAT(plan.reservations, IsEmpty());
}

TEST(Arrays, NoMoreOfOneRunThanItSays) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  JobSpec spec = Gang(1, 1);
  spec.set_array_running(3);
  for (int i = 0; i < 6; ++i) {
    const uint64_t job = builder.Submit(spec);
    builder.job(job).set_array(1);
    builder.job(job).set_array_index(i);
  }
  const Plan plan = builder.Pass();
  EXPECT_THAT(Started(plan), ElementsAre(1, 2, 3));
  builder.Follow(plan);
  EXPECT_THAT(builder.Pass().starts, IsEmpty());
  builder.End(2);
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(4));
}

// Reservations and backfill.

class Backfill : public ::testing::Test {
 protected:
  // t1 has 4 GPUs free for an hour more; then 8. The head wants all 8.
  Backfill() {
    builder.AddNodes(1, 8);
    builder.RunOn("t1", 4, WithLimit(kHour, Gang(4, 1)));
    head = builder.Submit(WithPriority(1, Gang(8, 1)));
  }
  ClusterBuilder builder;
  uint64_t head = 0;
};

TEST_F(Backfill, TheFirstThatWaitsIsPromisedATime) {
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.reservations.size(), 1u);
  EXPECT_EQ(plan.reservations[0].job, head);
  EXPECT_EQ(plan.reservations[0].start_ms, kStart + kHour);
  EXPECT_THAT(plan.reservations[0].nodes, ElementsAre("t1"));
}

TEST_F(Backfill, ShortWorkRunsInTheMeantime) {
  const uint64_t fits = builder.Submit(WithLimit(kHour, Gang(4, 1)));
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(fits));
}

TEST_F(Backfill, WorkThatWouldDelayTheFirstWaits) {
  builder.Submit(WithLimit(kHour + 1, Gang(4, 1)));
  builder.Submit(Gang(1, 1));
  EXPECT_THAT(builder.Pass().starts, IsEmpty());
}

TEST_F(Backfill, LastingWorkRunsBesideWhatIsKept) {
  builder.AddNode("t2", 2);
  const uint64_t lasting = builder.Submit(Gang(2, 1));
  builder.Submit(Gang(1, 1));
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(lasting));
}

TEST_F(Backfill, WhatTheFirstLeavesOfANodeMayBeUsed) {
  builder.cluster.jobs.at(head).mutable_spec()->mutable_roles(0)->set_ranks(6);
  const uint64_t two = builder.Submit(Gang(2, 1));
  builder.Submit(Gang(1, 1));
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(two));
}

TEST_F(Backfill, WithoutReservationsWhoeverFitsRuns) {
  builder.options.reservations = 0;
  const uint64_t lasting = builder.Submit(Gang(4, 1));
  const Plan plan = builder.Pass();
  EXPECT_THAT(Started(plan), ElementsAre(lasting));
  EXPECT_THAT(plan.reservations, IsEmpty());
}

TEST_F(Backfill, AsManyWaitWithAReservationAsAreAskedFor) {
  builder.options.reservations = 2;
  builder.AddNode("t2", 4);
  builder.RunOn("t2", 3, WithLimit(2 * kHour, Gang(3, 1)));
  const uint64_t second = builder.Submit(Gang(4, 1));
  builder.Submit(Gang(1, 1));
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.reservations.size(), 2u);
  EXPECT_EQ(plan.reservations[1].job, second);
  EXPECT_EQ(plan.reservations[1].start_ms, kStart + 2 * kHour);
  EXPECT_THAT(plan.starts, IsEmpty()) << "the third fits only where room is kept";
}

TEST(Reservation, OfUnknownTimeKeepsItsNodesFromAll) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.RunOn("t1", 4);
  const uint64_t head = builder.Submit(WithPriority(1, Gang(8, 1)));
  builder.Submit(WithLimit(kMinute, Gang(1, 1)));
  const Plan plan = builder.Pass();
  EXPECT_THAT(plan.starts, IsEmpty());
  ASSERT_EQ(plan.reservations.size(), 1u);
  EXPECT_EQ(plan.reservations[0].job, head);
  EXPECT_EQ(plan.reservations[0].start_ms, 0);
}

TEST(Reservation, CountsWhatThisPassStarts) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.Submit(WithPriority(2, WithLimit(kHour, Gang(4, 1))));
  builder.Submit(WithPriority(1, Gang(8, 1)));
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.reservations.size(), 1u);
  EXPECT_EQ(plan.reservations[0].start_ms, kStart + kHour);
}

TEST(Reservation, AJobThatCanNeverRunGetsNone) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.RunOn("t1", 8, WithLimit(kHour, Gang(8, 1)));
  builder.Submit(WithPriority(5, Gang(9, 1)));
  const uint64_t can = builder.Submit(Gang(8, 1));
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.reservations.size(), 1u);
  EXPECT_EQ(plan.reservations[0].job, can);
}

TEST(Reservation, AUsersSmallJobsDontUseUpTheQuotaOfTheirReservedOne) {
  ClusterBuilder builder;
  builder.AddNodes(2, 8);
  builder.SetQuota("user/alice", 8);
  builder.RunOn("t1", 6, WithLimit(kHour, Gang(6, 1)), "bea");
  builder.RunOn("t2", 6, WithLimit(kHour, Gang(6, 1)), "bea");
  builder.Submit(WithPriority(1, Gang(8, 1)), "alice");
  builder.Submit(Gang(1, 1), "alice");
  const uint64_t short_one = builder.Submit(WithLimit(kMinute, Gang(1, 1)), "alice");
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(short_one));
}

}  // namespace
}  // namespace tanren::coordinator
