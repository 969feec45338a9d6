// A job's life: what agents report moves it, and what people ask of it.
#include <limits>

#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

TEST(CoreLife, AJobIsPlacedStartedRunAndSucceeds) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  EXPECT_EQ(driver.state(job), PENDING);
  driver.Place(job, {"a"});
  ASSERT_TRUE(driver.Order(job, "a").has_value());
  const PartSpec start = driver.Order(job, "a")->start();
  EXPECT_EQ(start.user(), "alice");
  EXPECT_EQ(start.addresses().at("a"), "a.example");
  EXPECT_EQ(start.placements_size(), 1);
  driver.Say(job, "a", PART_STARTING);
  EXPECT_EQ(driver.state(job), STARTING);
  EXPECT_FALSE(driver.Order(job, "a")->has_start()) << "a part that is reported was started";
  driver.Say(job, "a", PART_RUNNING);
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Part(job, "a").mutable_progress()->set_step(7);
  driver.Report("a");
  EXPECT_EQ(driver.core->progress().at(job).step(), 7);
  driver.SayEnded(job, "a", AttemptEnd::FINISHED);
  EXPECT_EQ(driver.state(job), SUCCEEDED);
  EXPECT_EQ(driver.job(job).attempt().last_step(), 7);
  EXPECT_FALSE(driver.Order(job, "a").has_value());
  EXPECT_EQ(driver.core->cluster().loads.at("a").gpus_free, 4);
  EXPECT_TRUE(driver.core->progress().empty());
}

TEST(CoreLife, AStartIsRepeatedUntilThePartIsReported) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Place(job, {"a"});
  driver.orders.clear();
  driver.Report("a");
  EXPECT_TRUE(driver.Order(job, "a")->has_start());
  driver.Step(JoinInput{driver.node("a")});  // the stream broke: the orders may be lost
  driver.Report("a");
  EXPECT_TRUE(driver.Order(job, "a")->has_start());
}

TEST(CoreLife, EachReportIsAnsweredAndOthersHearOnlyWhatConcernsThem) {
  CoreDriver driver;
  driver.AddNode("a");
  driver.AddNode("b");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  driver.Report("a");
  ASSERT_EQ(driver.outcome.orders.size(), 1u);
  EXPECT_GT(driver.outcome.orders.at("a").renewed_report(), 0u);
  EXPECT_EQ(driver.outcome.orders.at("a").lease_ms(), driver.options.lease_ms);
  EXPECT_TRUE(driver.outcome.commit.empty()) << "a report without news writes nothing";
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kCancel, job).ok());
  EXPECT_EQ(driver.outcome.orders.count("a"), 1u);
  EXPECT_EQ(driver.outcome.orders.count("b"), 0u);
}

TEST(CoreLife, ReportsThatComeLateOrTwiceChangeNothing) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  ReportInput early;
  early.node = "a";
  early.report.set_sequence(1);
  driver.Step(early);  // from before the job was there: it doesn't list it
  EXPECT_TRUE(driver.outcome.orders.empty());
  EXPECT_TRUE(driver.outcome.commit.empty());
  EXPECT_EQ(driver.state(job), RUNNING);
}

TEST(CoreLife, MessagesOfAnEarlierStreamChangeNothing) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  driver.Step(JoinInput{driver.node("a"), 2});
  ReportInput late;
  late.node = "a";
  late.stream = 1;
  late.report.set_sequence(1000);
  EXPECT_EQ(driver.Step(late).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Step(LeaveInput{"a", 1});
  late.stream = 2;
  late.report.set_sequence(1);
  *late.report.add_parts() = driver.Part(job, "a");
  EXPECT_TRUE(driver.Step(late).status.ok()) << "the end of the old stream ended the new one";
}

TEST(CoreLife, APartOfAnEarlierAttemptIsEndedByOmission) {
  CoreDriver driver;
  driver.AddNode("a");
  driver.AddNode("b");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  const auto old = driver.holds["a"];
  driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
  driver.Wait(6'000, {"a", "b"});
  driver.Run(job, {"b"});
  driver.holds["a"] = old;
  driver.Report("a");
  EXPECT_EQ(driver.outcome.orders.at("a").parts_size(), 0);
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.holds["a"].begin()->second.set_state(PART_ENDED);
  driver.holds["a"].begin()->second.mutable_end()->set_kind(AttemptEnd::USER_ERROR);
  driver.Report("a");
  EXPECT_EQ(driver.state(job), RUNNING) << "the past spoke for the present";
}

TEST(CoreLife, NothingIsPlacedWhereSomethingUnknownLives) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.HoldStranger("a", 77, 1, PART_RUNNING);
  driver.Report("a");
  driver.TryToPlace(job, {"a"});
  EXPECT_EQ(driver.state(job), PENDING);
  driver.holds["a"].clear();
  driver.Report("a");
  driver.Place(job, {"a"});
  EXPECT_EQ(driver.SubmitOne(), 78u) << "an id that an agent knows was given again";
}

TEST(CoreLife, AJobIsNotPlacedWhileAnotherAttemptOfItLivesSomewhere) {
  CoreDriver driver;
  driver.AddNode("a");
  driver.AddNode("b");
  const uint64_t job = driver.SubmitOne();
  driver.HoldStranger("a", job, 9, PART_STOPPING);
  driver.Report("a");
  driver.TryToPlace(job, {"b"});
  EXPECT_EQ(driver.state(job), PENDING);
  driver.holds["a"].begin()->second.set_state(PART_ENDED);
  driver.Report("a");
  driver.Place(job, {"b"});
}

TEST(CoreLife, CancellingEndsAWaitingJobAtOnceAndARunningOneWhenNothingLives) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t waits = driver.SubmitOne();
  const uint64_t runs = driver.SubmitOne();
  driver.Run(runs, {"a"});
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kCancel, waits).ok());
  EXPECT_EQ(driver.state(waits), CANCELLED);
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kCancel, runs).ok());
  EXPECT_EQ(driver.state(runs), STOPPING);
  EXPECT_EQ(driver.Order(runs, "a")->stop(), CANCELLED_BY_USER);
  driver.Say(runs, "a", PART_STOPPING);
  EXPECT_EQ(driver.state(runs), STOPPING);
  driver.SayEnded(runs, "a", AttemptEnd::STOPPED);
  EXPECT_EQ(driver.state(runs), CANCELLED);
  EXPECT_EQ(driver.job(runs).end_message(), "cancelled by alice");
}

TEST(CoreLife, CancellingHastensAPreemption) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  const uint64_t other = driver.SubmitOne();
  driver.Preempt(job, other);
  EXPECT_EQ(driver.Order(job, "a")->stop(), PREEMPTED);
  EXPECT_EQ(driver.Order(job, "a")->grace_ms(), driver.options.stop_grace_ms);
  EXPECT_EQ(driver.job(job).attempt().stop_by(), "job 2");
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kCancel, job).ok());
  EXPECT_EQ(driver.Order(job, "a")->stop(), CANCELLED_BY_USER);
  EXPECT_LE(driver.Order(job, "a")->grace_ms(), 5'000);
  driver.SayEnded(job, "a", AttemptEnd::SAVED);
  EXPECT_EQ(driver.state(job), CANCELLED);
}

TEST(CoreLife, AJobCancelledBeforeItsNodeKnewOfItEndsOnceTheNodeHasSaidSo) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Place(job, {"a"});
  driver.Cancel(job);
  EXPECT_FALSE(driver.Order(job, "a")->has_start());
  EXPECT_EQ(driver.state(job), STOPPING) << "the order to start it may be on its way";
  driver.Report("a");  // has acted on the order to stop, and lists nothing
  EXPECT_EQ(driver.state(job), CANCELLED);
}

TEST(CoreLife, TerminalIsFinal) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  driver.SayEnded(job, "a", AttemptEnd::FINISHED);
  for (const auto kind : {ChangeJobInput::Kind::kCancel, ChangeJobInput::Kind::kHold,
                          ChangeJobInput::Kind::kRelease, ChangeJobInput::Kind::kRequeue}) {
    EXPECT_EQ(driver.Change(kind, job).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(driver.outcome.commit.empty());
  }
  EXPECT_EQ(driver.state(job), SUCCEEDED);
}

TEST(CoreLife, OnlyItsOwnerOrAnAdministratorChangesAJob) {
  CoreDriver driver;
  const uint64_t job = driver.SubmitOne();
  const auto kHold = ChangeJobInput::Kind::kHold;
  EXPECT_EQ(driver.Change(kHold, job, "bob").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE(driver.job(job).held());
  EXPECT_TRUE(driver.Change(kHold, job, "root", true).ok());
  EXPECT_TRUE(driver.job(job).held());
  EXPECT_TRUE(driver.Change(ChangeJobInput::Kind::kRelease, job, "alice").ok());
  EXPECT_FALSE(driver.job(job).held());
  EXPECT_EQ(driver.Change(kHold, 99).code(), absl::StatusCode::kNotFound);
}

TEST(CoreLife, ARequeuedJobSavesAndGoesOnAtOnce) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kRequeue, job).ok());
  EXPECT_EQ(driver.Order(job, "a")->stop(), REQUEUED_BY_USER);
  driver.SayEnded(job, "a", AttemptEnd::SAVED);
  EXPECT_EQ(driver.state(job), PENDING);
  EXPECT_EQ(driver.job(job).not_before_ms(), 0);
  EXPECT_EQ(driver.job(job).failures(), 0);
  driver.Run(job, {"a"});
  EXPECT_EQ(driver.token(job).attempt(), 2u);
}

TEST(CoreLife, DrainingLetsWorkEndUnlessItIsToBeEvicted) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  driver.Step(ChangeNodeInput{ChangeNodeInput::Kind::kDrain, "root", "a", "a fan", "", false});
  EXPECT_TRUE(driver.node("a").draining());
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Step(ChangeNodeInput{ChangeNodeInput::Kind::kRemove, "root", "a", "", "", false});
  EXPECT_EQ(driver.outcome.status.code(), absl::StatusCode::kFailedPrecondition);
  driver.Step(ChangeNodeInput{ChangeNodeInput::Kind::kDrain, "root", "a", "a fan", "", true});
  EXPECT_EQ(driver.Order(job, "a")->stop(), NODE_DRAINED);
  driver.SayEnded(job, "a", AttemptEnd::SAVED);
  EXPECT_EQ(driver.state(job), PENDING);
  driver.Step(ChangeNodeInput{ChangeNodeInput::Kind::kRemove, "root", "a", "", "", false});
  EXPECT_TRUE(driver.core->cluster().nodes.empty());
}

TEST(CoreLife, ATimeLimitEndsAJobThatDoesNotSave) {
  for (const AttemptEnd::Kind kind : {AttemptEnd::STOPPED, AttemptEnd::SAVED}) {
    CoreDriver driver;
    driver.AddNode("a");
    JobSpec spec = CoreDriver::Spec();
    spec.set_time_limit_ms(60'000);
    const uint64_t job = driver.SubmitOne(spec);
    driver.Run(job, {"a"});
    driver.Wait(59'900, {"a"});
    EXPECT_EQ(driver.state(job), RUNNING);
    driver.Wait(200, {"a"});
    EXPECT_EQ(driver.Order(job, "a")->stop(), TIME_LIMIT);
    driver.SayEnded(job, "a", kind);
    EXPECT_EQ(driver.state(job), kind == AttemptEnd::SAVED ? PENDING : FAILED);
  }
}

TEST(CoreLife, NeitherARestartNorAJumpOfTheClockEndsAJobBeforeItsTime) {
  CoreDriver driver;
  driver.AddNode("a");
  JobSpec spec = CoreDriver::Spec();
  spec.set_time_limit_ms(60'000);
  const uint64_t job = driver.SubmitOne(spec);
  driver.Run(job, {"a"});
  driver.Wait(20'000, {"a"});
  driver.now.wall_ms += 24 * 3600 * 1000;
  driver.Wait(20'000, {"a"});
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Restart();
  driver.Wait(19'000, {"a"});
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Wait(2'000, {"a"});
  EXPECT_EQ(driver.state(job), STOPPING) << "the clock that goes on counts across a restart";
}

TEST(CoreLife, AfterTheMachineWasStartedAgainALimitCountsFromThatTimeAtLeast) {
  CoreDriver driver;
  driver.AddNode("a");
  JobSpec spec = CoreDriver::Spec();
  spec.set_time_limit_ms(60'000);
  const uint64_t job = driver.SubmitOne(spec);
  driver.Run(job, {"a"});
  driver.now.steady_ms = 1'000;
  driver.now.wall_ms += 24 * 3600 * 1000;
  driver.Restart();
  driver.Wait(58'000, {"a"});
  EXPECT_EQ(driver.state(job), RUNNING);
  driver.Wait(2'000, {"a"});
  EXPECT_EQ(driver.state(job), STOPPING);
}

TEST(CoreLife, AnAttemptThatNeverComesToRunIsTakenToHang) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t job = driver.SubmitOne();
  driver.Place(job, {"a"});
  driver.Say(job, "a", PART_STARTING);
  driver.Wait(driver.options.start_limit_ms + 100, {"a"});
  EXPECT_EQ(driver.Order(job, "a")->stop(), HANG);
  driver.SayEnded(job, "a", AttemptEnd::STOPPED);
  EXPECT_EQ(driver.job(job).attempt().end().kind(), AttemptEnd::HUNG);
  EXPECT_EQ(driver.job(job).failures(), 1);
}

TEST(CoreLife, UseIsCountedForUserAndProjectAndHalvesWithTime) {
  CoreOptions options = CoreDriver::Options();
  options.schedule.usage_half_life_ms = 100'000;
  CoreDriver driver(options);
  driver.AddNode("a");
  JobSpec spec = CoreDriver::Spec();
  spec.set_project("vision");
  const uint64_t job = driver.SubmitOne(spec);
  driver.Run(job, {"a"});
  const int64_t placed = driver.job(job).attempt().placed_ms();
  driver.Wait(100'000, {"a"});
  const double seconds = static_cast<double>(driver.now.wall_ms - placed) / 1000;
  driver.SayEnded(job, "a", AttemptEnd::FINISHED);
  const auto& usage = driver.core->cluster().usage;
  EXPECT_NEAR(usage.at("user/alice").gpu_seconds(), seconds, 0.01);
  EXPECT_NEAR(usage.at("project/vision").gpu_seconds(), seconds, 0.01);
  driver.Wait(100'000, {"a"});
  const uint64_t next = driver.SubmitOne(CoreDriver::Spec());
  driver.Place(next, {"a"});
  driver.Cancel(next);
  driver.Report("a");
  EXPECT_LT(usage.at("user/alice").gpu_seconds(), seconds * 0.6);
  EXPECT_GT(usage.at("user/alice").gpu_seconds(), seconds * 0.4);
}

TEST(CoreLife, EndedJobsAreForgottenAfterTheirTimeButNotWhatAWaitingJobDependsOn) {
  CoreOptions options = CoreDriver::Options();
  options.keep_ended_ms = 100'000;
  CoreDriver driver(options);
  driver.AddNode("a");
  const uint64_t first = driver.SubmitOne();
  const uint64_t other = driver.SubmitOne();
  JobSpec spec = CoreDriver::Spec();
  spec.set_held(true);
  spec.add_dependencies()->set_job(first);
  const uint64_t waits = driver.SubmitOne(spec);
  for (const uint64_t job : {first, other}) {
    driver.Run(job, {"a"});
    driver.SayEnded(job, "a", AttemptEnd::FINISHED);
  }
  driver.Wait(150'000, {"a"});
  EXPECT_EQ(driver.core->cluster().FindJob(other), nullptr);
  EXPECT_NE(driver.core->cluster().FindJob(first), nullptr);
  driver.Cancel(waits);
  driver.Wait(7'000, {"a"});
  EXPECT_EQ(driver.core->cluster().FindJob(first), nullptr);
  driver.Restart();
  EXPECT_EQ(driver.SubmitOne(), waits + 1) << "an id was given again";
}

TEST(CoreLife, NoMoreEndedJobsAreKeptThanAsked) {
  CoreOptions options = CoreDriver::Options();
  options.keep_ended_jobs = 3;
  CoreDriver driver(options);
  driver.AddNode("a");
  for (int i = 0; i < 10; ++i) {
    driver.Cancel(driver.SubmitOne());
  }
  driver.Wait(7'000, {"a"});
  EXPECT_EQ(driver.core->cluster().jobs.size(), 3u);
  EXPECT_EQ(driver.core->cluster().jobs.begin()->first, 8u);
}

TEST(CoreLife, WhatHasEndedIsForgottenInTimeThoughNothingElseHappens) {
  CoreOptions options = CoreDriver::Options();
  options.keep_ended_ms = 100'000;
  options.keep_requests_ms = 200'000;
  CoreDriver driver(options);
  driver.Cancel(driver.SubmitOne());
  driver.Wait(90'000);
  EXPECT_EQ(driver.core->cluster().jobs.size(), 1u);
  driver.Wait(12'000);
  EXPECT_TRUE(driver.core->cluster().jobs.empty());
  EXPECT_FALSE(driver.core->cluster().requests.empty());
  EXPECT_GE(driver.core->NextTick(), driver.now.steady_ms + 90'000) << "it looks without end";
  driver.Wait(100'000);
  EXPECT_TRUE(driver.core->cluster().requests.empty());
  EXPECT_EQ(driver.core->NextTick(), std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace tanren::coordinator
