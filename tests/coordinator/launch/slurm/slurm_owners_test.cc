// Whose a job is: of the user who wants it, and known by more than its number.
#include <pwd.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "coordinator/launch/slurm/slurm_attempt.h"
#include "coordinator/launch/slurm/slurm_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/launch/slurm/fake_cluster.h"

namespace tanren::coordinator {
namespace {

using testing::HasSubstr;

TEST(SlurmOwners, AStrangersJobWithANumberThatWasOursIsLeftAlone) {
  FakeCluster cluster;
  cluster.Set("hold");
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "true");
  launcher->Start(part);
  ASSERT_TRUE(WaitUntilSubmitted(*launcher, part.token()));
  // Slurm loses the job between two looks, and gives its number again.
  cluster.Set("mute");
  cluster.WriteJobFile("1", "name", "another\n");
  launcher->Stop(part.token(), CANCELLED_BY_USER, 0);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(cluster.JobFile("1", "state"), "PENDING\n");
  EXPECT_THAT(TextOf(cluster.folder() / "cancelled"), HasSubstr("1\n")) << "it was tried";
}

TEST(SlurmOwners, WhatSlurmForgotAndLeftNoRecordEndedAsAccountingSaysOfItsName) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "exec sleep 600");
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  cluster.Set("mute");
  kill(std::stoi(cluster.JobFile("1", "pid")), SIGKILL);
  // The number was given again, and accounting's last word on it is of the other job.
  cluster.Set("accounts",
              "1|OUT_OF_MEMORY|0:125|" + SlurmJobName(part) + "\n1|COMPLETED|0:0|another\n");
  cluster.ForgetJob("1");
  cluster.Clear("mute");
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  const AttemptEnd end = ReportOf(*launcher, part.token()).end();
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR) << end.message();
  EXPECT_THAT(end.message(), HasSubstr("memory"));
}

TEST(SlurmOwners, ARootsLauncherRunsWhoWantsAJobAndRefusesRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  SlurmLauncherOptions options;
  PartSpec part;
  part.set_user("nobody");
  const auto nobody = SlurmUserOf(part, options);
  ASSERT_TRUE(nobody.ok()) << nobody.status();
  EXPECT_NE(nobody->user, 0);
  part.set_user("root");
  EXPECT_TRUE(absl::IsPermissionDenied(SlurmUserOf(part, options).status()));
  // One that shares an account would be root's for everybody.
  options.shared_account = true;
  EXPECT_TRUE(absl::IsPermissionDenied(SlurmUserOf(part, options).status()));
  options.allow_root = true;
  EXPECT_EQ(SlurmUserOf(part, options)->user, 0);
  part.set_user("nobody-of-this-name");
  EXPECT_TRUE(absl::IsNotFound(SlurmUserOf(part, options).status()));
}

TEST(SlurmOwners, AUsersLauncherRefusesTheJobsOfOthersUnlessTheyShareItsAccount) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to be another for a while";
  const passwd* nobody = getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  const uid_t own = nobody->pw_uid;
  ASSERT_EQ(seteuid(own), 0);
  SlurmLauncherOptions options;
  PartSpec part;
  part.set_user("daemon");
  const auto others = SlurmUserOf(part, options);
  options.shared_account = true;
  const auto shared = SlurmUserOf(part, options);
  options.shared_account = false;
  part.set_user("nobody");
  const auto owns = SlurmUserOf(part, options);
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_TRUE(absl::IsPermissionDenied(others.status())) << others.status();
  ASSERT_TRUE(shared.ok() && owns.ok());
  EXPECT_EQ(shared->user, own);
  EXPECT_EQ(owns->user, own);
}

}  // namespace
}  // namespace tanren::coordinator
