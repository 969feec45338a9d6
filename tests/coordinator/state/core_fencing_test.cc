// Tokens: what is of the past publishes nothing, and a restored store fences what ran since.
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

class CoreFencing : public ::testing::Test {
 protected:
  void SetUp() override {
    driver.AddNode("a");
    driver.AddNode("b");
    job = driver.SubmitOne();
    driver.Run(job, {"a"});
  }
  void Publish(int64_t step, const std::string& folder) {
    Checkpoint& checkpoint = *driver.Part(job, "a").mutable_checkpoint();
    checkpoint.set_step(step);
    checkpoint.set_folder(folder);
    driver.Report("a");
  }
  CoreDriver driver;
  uint64_t job = 0;
};

TEST_F(CoreFencing, ACheckpointInTheAttemptsOwnFolderIsPublishedOnce) {
  Publish(10, "/data/job-1/attempt-1/checkpoints/step-10");
  EXPECT_EQ(driver.job(job).checkpoint().step(), 10);
  EXPECT_EQ(driver.job(job).checkpoint().attempt(), 1u);
  driver.Report("a");
  EXPECT_TRUE(driver.outcome.commit.empty());
}

TEST_F(CoreFencing, ACheckpointElsewhereIsNotPublished) {
  for (const char* folder :
       {"/data/job-1/attempt-2/checkpoints/step-10", "/data/job-2/attempt-1/checkpoints/step-10",
        "/data/job-1/attempt-1/../attempt-2/x", "/data/job-1/attempt-1/..", "/data/job-1/attempt-1",
        "/data/job-1/attempt-1/", "attempt-1/x", "", "/data/job-1/attempt-10/checkpoints/step-1"}) {
    Publish(10, folder);
    EXPECT_FALSE(driver.job(job).has_checkpoint()) << folder;
  }
}

TEST_F(CoreFencing, ACheckpointNeverGoesBack) {
  Publish(10, "/data/job-1/attempt-1/checkpoints/step-10");
  Publish(9, "/data/job-1/attempt-1/checkpoints/step-9");
  EXPECT_EQ(driver.job(job).checkpoint().step(), 10);
}

TEST_F(CoreFencing, AnAttemptOfThePastPublishesNothing) {
  auto old = driver.holds["a"];
  driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
  driver.Wait(6'000, {"a", "b"});
  driver.Run(job, {"b"});
  old.begin()->second.mutable_checkpoint()->set_step(99);
  old.begin()->second.mutable_checkpoint()->set_folder("/data/job-1/attempt-1/checkpoints/step-99");
  driver.holds["a"] = old;
  driver.Report("a");
  EXPECT_FALSE(driver.job(job).has_checkpoint());
}

TEST_F(CoreFencing, WhatItSavedWhileStoppingIsWhereTheNextAttemptResumes) {
  driver.Preempt(job, driver.SubmitOne());
  Publish(12, "/data/job-1/attempt-1/checkpoints/step-12");
  PartReport& part = driver.Part(job, "a");
  part.mutable_checkpoint()->set_step(13);
  part.mutable_checkpoint()->set_folder("/data/job-1/attempt-1/checkpoints/step-13");
  driver.SayEnded(job, "a", AttemptEnd::SAVED);  // told together with the end
  driver.Place(job, {"b"});
  EXPECT_EQ(driver.Order(job, "b")->start().resume().step(), 13);
  EXPECT_EQ(driver.Order(job, "b")->start().resume().attempt(), 1u);
}

TEST_F(CoreFencing, ARestoredStoreFencesWhatRunsAndGoesOnUnderTheNewEpoch) {
  const auto backup = driver.records;
  driver.Wait(2'000, {"a", "b"});
  driver.RestoreFrom(backup);
  EXPECT_EQ(driver.state(job), STOPPING);
  EXPECT_EQ(driver.job(job).attempt().stop_reason(), FENCED);
  driver.Step(JoinInput{driver.node("a")});
  Publish(10, "/data/job-1/attempt-1/checkpoints/step-10");
  EXPECT_FALSE(driver.job(job).has_checkpoint()) << "a fenced attempt published";
  EXPECT_EQ(driver.Order(job, "a")->stop(), FENCED);
  EXPECT_EQ(driver.orders["a"].epoch(), 2u);
  driver.SayEnded(job, "a", AttemptEnd::STOPPED);
  EXPECT_EQ(driver.state(job), PENDING);
  driver.TryToPlace(job, {"a"});
  EXPECT_EQ(driver.state(job), PENDING) << "an attempt since the backup may live on a silent node";
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms, {"a"});
  driver.Run(job, {"a"});
  EXPECT_EQ(driver.token(job).epoch(), 2u);
  EXPECT_GT(driver.token(job).attempt(), 500u) << "the folder of an attempt since the backup";
}

TEST_F(CoreFencing, WhatRanSinceTheBackupIsEndedBeforeItsJobGoesOn) {
  driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
  const auto backup = driver.records;  // the job waits in it
  driver.Wait(6'000, {"a", "b"});
  driver.Run(job, {"b"});
  driver.RestoreFrom(backup);
  EXPECT_EQ(driver.state(job), PENDING);
  driver.Step(JoinInput{driver.node("a")});
  driver.Step(JoinInput{driver.node("b")});
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms, {"a", "b"});
  driver.TryToPlace(job, {"a"});
  EXPECT_EQ(driver.state(job), PENDING) << "attempt 1.1.2 lives on b";
  EXPECT_EQ(driver.orders["b"].parts_size(), 0) << "it isn't named, so it is ended";
  driver.holds["b"].clear();
  driver.Report("b");
  driver.Place(job, {"a"});
}

TEST_F(CoreFencing, ARestartedCoordinatorPlacesAJobOfAnOlderEpochOnceAllNodesAreHeardOf) {
  driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
  const auto backup = driver.records;
  driver.Wait(6'000, {"a", "b"});
  driver.Run(job, {"b"});
  driver.RestoreFrom(backup);
  driver.Step(JoinInput{driver.node("a")});
  driver.Step(JoinInput{driver.node("b")});
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms, {"a", "b"});
  driver.Place(driver.SubmitOne(), {"a"});  // the new epoch has settled
  driver.Restart();
  driver.Report("a");
  driver.TryToPlace(job, {"a"});
  EXPECT_EQ(driver.state(job), PENDING) << "attempt 1.1.2 takes long to end on b";
  driver.Place(driver.SubmitOne(), {"a"});  // one of this epoch needs not wait
  driver.holds["b"].clear();
  driver.Report("b");
  driver.Place(job, {"a"});
}

TEST_F(CoreFencing, ARestartBeforeTheFirstPlacingWaitsAnew) {
  driver.RestoreFrom(driver.records);
  driver.Step(JoinInput{driver.node("a")});
  driver.Wait(8'000, {"a"});
  driver.Restart();
  driver.Report("a");
  driver.SayEnded(job, "a", AttemptEnd::STOPPED);
  driver.TryToPlace(job, {"a"});
  EXPECT_EQ(driver.state(job), PENDING);
  driver.Wait(8'000, {"a"});
  driver.Place(job, {"a"});
}

}  // namespace
}  // namespace tanren::coordinator
