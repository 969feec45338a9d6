// What becomes of jobs while Slurm's controller is away, forgets them, or loses their nodes.
#include <csignal>
#include <filesystem>
#include <string>

#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_launcher.h"
#include "gtest/gtest.h"
#include "tests/coordinator/launch/slurm/fake_cluster.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

TEST(SlurmLauncherFaults, ACancelReachesAJobThoughSlurmsControllerIsAway) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "while :; do sleep 0.05; done");
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  cluster.Set("down");
  launcher->Stop(part.token(), CANCELLED_BY_USER, 0);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().kind(), AttemptEnd::STOPPED);
}

TEST(SlurmLauncherFaults, AControllerThatIsAwayIsNoFailureOfAJob) {
  FakeCluster cluster;
  cluster.Set("down");
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  launcher->Start(part);
  EXPECT_FALSE(WaitForState(*launcher, part.token(), PART_ENDED, 0.5));
  cluster.Clear("down");
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  cluster.Set("down");
  EXPECT_FALSE(WaitForState(*launcher, part.token(), PART_ENDED, 1));
  EXPECT_EQ(ReportOf(*launcher, part.token()).state(), PART_RUNNING);
  cluster.Clear("down");
  cluster.Set("go");
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(TextOf(cluster.folder() / "ran"), "begin\nend\n");
}

TEST(SlurmLauncherFaults, AJobThatSlurmForgotCountsAsItsRecordSays) {
  FakeCluster cluster;
  auto launcher = cluster.OpenLauncher();
  const PartSpec part =
      ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()) + "; exit 4");
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  launcher.reset();  // and while it is away
  cluster.Set("go");
  ASSERT_TRUE(WaitUntil(60, [&] { return fs::exists(SlurmFolder::Of(part).path() / "exit"); }));
  cluster.ForgetJob("1");
  launcher = cluster.OpenLauncher();
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().exit_code(), 4);
}

TEST(SlurmLauncherFaults, AnEndThatCantBeRememberedIsToldOnceItCan) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  // Nothing can be written over a folder that isn't empty.
  const fs::path record = cluster.folder() / "agent/parts/1.1.1/slurm.pb";
  fs::remove(record);
  fs::create_directories(record / "in the way");
  cluster.Set("go");
  ASSERT_TRUE(WaitUntil(60, [&] { return fs::exists(SlurmFolder::Of(part).path() / "exit"); }));
  ASSERT_TRUE(WaitUntil(60, [&] { return cluster.JobFile("1", "state") == "COMPLETED\n"; }));
  // What ends in a later round is told after it.
  const PartSpec later = ShellPart(cluster.folder() / "work", 2, 1, "true");
  launcher->Start(later);
  ASSERT_TRUE(WaitForState(*launcher, later.token(), PART_ENDED));
  EXPECT_NE(ReportOf(*launcher, part.token()).state(), PART_ENDED);
  fs::remove_all(record);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_TRUE(fs::is_regular_file(record));
}

// A controller that has just taken over from another may not know all jobs yet.
TEST(SlurmLauncherFaults, AJobThatSlurmDoesntShowForAMomentGoesOn) {
  FakeCluster cluster;
  SlurmLauncherOptions options = cluster.Options();
  options.forgotten_after_ms = 0;  // however long the moment
  options.record_wait_ms = 0;
  const auto launcher = SlurmLauncher::Open(options);
  // Until squeue is asked again, for then the launcher has done what it does about that answer.
  const auto isnt_shown = [&] {
    cluster.Set("hide");
    if (!WaitUntil(60, [&] { return !fs::exists(cluster.folder() / "hide"); })) return false;
    const size_t listings = cluster.Listings();
    return WaitUntil(60, [&] { return cluster.Listings() > listings; });
  };
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  cluster.Set("hold");
  (*launcher)->Start(part);
  ASSERT_TRUE(WaitUntilSubmitted(**launcher, part.token()));
  ASSERT_TRUE(isnt_shown());
  EXPECT_EQ(ReportOf(**launcher, part.token()).state(), PART_STARTING);
  cluster.Clear("hold");
  ASSERT_TRUE(WaitForState(**launcher, part.token(), PART_RUNNING));
  ASSERT_TRUE(isnt_shown());
  EXPECT_EQ(ReportOf(**launcher, part.token()).state(), PART_RUNNING);
  cluster.Set("go");
  ASSERT_TRUE(WaitForState(**launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(**launcher, part.token()).end().kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(TextOf(cluster.folder() / "ran"), "begin\nend\n");
}

TEST(SlurmLauncherFaults, AJobThatBeganSinceSlurmWasAskedIsntTakenForRequeued) {
  FakeCluster cluster;
  SlurmLauncherOptions options = cluster.Options();
  options.command_timeout_ms = 120'000;
  const auto launcher = SlurmLauncher::Open(options);
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  cluster.Set("hold");
  (*launcher)->Start(part);
  ASSERT_TRUE(WaitUntilSubmitted(**launcher, part.token()));
  cluster.Set("slow");
  ASSERT_TRUE(WaitUntil(60, [&] { return fs::exists(cluster.folder() / "looked"); }));
  cluster.Clear("hold");
  ASSERT_TRUE(WaitUntil(60, [&] { return fs::exists(SlurmFolder::Of(part).path() / "claim"); }));
  cluster.Clear("slow");
  ASSERT_TRUE(WaitForState(**launcher, part.token(), PART_RUNNING));
  cluster.Set("go");
  ASSERT_TRUE(WaitForState(**launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(**launcher, part.token()).end().kind(), AttemptEnd::FINISHED);
}

TEST(SlurmLauncherFaults, WhatAPersonRequeuesEndsAndIsTheCoordinatorsToTryAgain) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  // Slurm ends its processes, and lets it wait again.
  cluster.Set("hold");
  cluster.WriteJobFile("1", "state", "PENDING\n");
  kill(std::stoi(cluster.JobFile("1", "pid")), SIGTERM);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  const AttemptEnd end = ReportOf(*launcher, part.token()).end();
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_NE(end.message().find("requeued in Slurm by hand"), std::string::npos) << end.message();
  EXPECT_EQ(cluster.JobFile("1", "state"), "CANCELLED\n");
}

TEST(SlurmLauncherFaults, AJobThatSlurmNeverShowsAgainIsWithdrawnAndTriedElsewhere) {
  FakeCluster cluster;
  cluster.Set("hold");
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "echo ran >>ran");
  launcher->Start(part);
  ASSERT_TRUE(WaitUntilSubmitted(*launcher, part.token()));
  cluster.WriteJobFile("1", "comment", "another's\n");
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().kind(), AttemptEnd::INFRASTRUCTURE);
  // Slurm has it after all.
  cluster.Clear("hold");
  ASSERT_TRUE(WaitUntil(60, [&] { return cluster.JobFile("1", "state") != "PENDING\n"; }));
  EXPECT_FALSE(fs::exists(cluster.folder() / "work/job-1/ran"));
}

TEST(SlurmLauncherFaults, AJobThatIsGoneWithoutARecordEndsOnlyOnceItsHeartStandsStill) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  // Slurm takes the node for lost, and what runs there lives on.
  cluster.WriteJobFile("1", "state", "NODE_FAIL\n");
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  const fs::path folder = SlurmFolder::Of(part).path();
  EXPECT_TRUE(fs::exists(folder / "exit")) << "it was told to end, and did";
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(TextOf(cluster.folder() / "ran"), "begin\n");
}

}  // namespace
}  // namespace tanren::coordinator
