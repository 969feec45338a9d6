#include "coordinator/launch/slurm/slurm_launcher.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "coordinator/launch/slurm/slurm_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "tests/coordinator/launch/slurm/fake_cluster.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string LogOf(Launcher& launcher, const AttemptToken& token) {
  ReadLogChunk request;
  *request.mutable_token() = token;
  request.set_limit(1 << 16);
  const auto chunk = launcher.ReadLog(request);
  return chunk.ok() ? chunk->data() : chunk.status().ToString();
}

TEST(SlurmLauncher, AnAttemptRunsToItsEndAndItsLogIsRead) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 7, 2,
                                  "echo \"job $TANREN_JOB attempt $TANREN_ATTEMPT $PWD\"");
  launcher->Start(part);
  EXPECT_EQ(ReportOf(*launcher, part.token()).state(), PART_STARTING);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  const PartReport report = ReportOf(*launcher, part.token());
  EXPECT_EQ(report.end().kind(), AttemptEnd::FINISHED) << report.end().message();
  EXPECT_EQ(report.slurm_job(), "1");
  EXPECT_EQ(LogOf(*launcher, part.token()),
            "job 7 attempt 2 " + (cluster.folder() / "work/job-7").string() + "\n");
  EXPECT_EQ(fs::read_symlink(cluster.folder() / "work/job-7/latest"), "attempt-2");
}

TEST(SlurmLauncher, NothingThatAUserWritesIsReadByAShell) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const std::string hostile = "$(touch pwned) `touch pwned`; touch pwned & 'x' \"y\" \\ %j\n*";
  const fs::path folder = cluster.folder() / ("work " + hostile);
  PartSpec part = ShellPart(folder, 1, 1, "printf %s \"$TEXT|$1\"");
  part.mutable_spec()->mutable_command()->add_argv("sh");
  part.mutable_spec()->mutable_command()->add_argv(hostile);
  (*part.mutable_spec()->mutable_environment())["TEXT"] = hostile;
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(LogOf(*launcher, part.token()), hostile + "|" + hostile);
  for (const auto& entry : fs::recursive_directory_iterator(cluster.folder())) {
    EXPECT_NE(entry.path().filename(), "pwned") << entry.path();
  }
}

TEST(SlurmLauncher, ARankGetsWhatItsJobNamesAndNoVariablesOfSlurmsOrTheAgents) {
  FakeCluster cluster;
  setenv("AGENTS_OWN", "secret", 1);
  const auto launcher = cluster.OpenLauncher();
  PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "env");
  (*part.mutable_spec()->mutable_environment())["MINE"] = "yes";
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  const std::string log = LogOf(*launcher, part.token());
  EXPECT_THAT(log, HasSubstr("MINE=yes\n"));
  EXPECT_THAT(log, HasSubstr("TANREN_LAUNCH=1.1.1\n"));
  EXPECT_THAT(log, Not(HasSubstr("AGENTS_OWN")));
  EXPECT_THAT(log, Not(HasSubstr("SLURM_TASKS_PER_NODE")));
  const fs::perms others = fs::perms::group_all | fs::perms::others_all;
  const fs::path task = SlurmFolder::Of(part).path() / "task.pb";
  EXPECT_EQ(fs::status(task).permissions() & others, fs::perms::none);
  unsetenv("AGENTS_OWN");
}

TEST(SlurmLauncher, AFailureSaysWhichRankAndShowsTheEndOfItsLog) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec wrong = ShellPart(cluster.folder() / "work", 1, 1, "echo so it went; exit 3");
  const PartSpec killed = ShellPart(cluster.folder() / "work", 2, 1, "kill -9 $$");
  launcher->Start(wrong);
  launcher->Start(killed);
  ASSERT_TRUE(WaitForState(*launcher, wrong.token(), PART_ENDED));
  ASSERT_TRUE(WaitForState(*launcher, killed.token(), PART_ENDED));
  const AttemptEnd end = ReportOf(*launcher, wrong.token()).end();
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR);
  EXPECT_EQ(end.exit_code(), 3);
  EXPECT_EQ(end.rank(), 0);
  EXPECT_EQ(end.log_tail(), "so it went\n");
  EXPECT_EQ(ReportOf(*launcher, killed.token()).end().kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(ReportOf(*launcher, killed.token()).end().signal(), SIGKILL);
}

TEST(SlurmLauncher, ALogKeepsItsNewestBytesAndDeclaresTheGap) {
  FakeCluster cluster;
  SlurmLauncherOptions options = cluster.Options();
  options.log_limit_bytes = 4'000;
  const auto launcher = SlurmLauncher::Open(options);
  const PartSpec part =
      ShellPart(cluster.folder() / "work", 1, 1,
                "i=100000; while [ $i -lt 101000 ]; do echo line $i; i=$((i + 1)); done; exit 3");
  (*launcher)->Start(part);
  ASSERT_TRUE(WaitForState(**launcher, part.token(), PART_ENDED));
  ReadLogChunk request;
  *request.mutable_token() = part.token();
  const auto first = (*launcher)->ReadLog(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->gap());
  EXPECT_GE(first->offset(), 12'000 - 4'000);
  EXPECT_LE(first->offset(), 12'000 - 3'000);
  uint64_t bytes = 0;
  for (const auto& file : fs::directory_iterator(SlurmFolder::Of(part).path() / "logs")) {
    if (file.path().extension() == ".log") bytes += file.file_size();
  }
  EXPECT_LE(bytes, 4'000);
  request.set_tail_bytes(12);
  EXPECT_EQ((*launcher)->ReadLog(request)->data(), "line 100999\n");
  EXPECT_THAT(ReportOf(**launcher, part.token()).end().log_tail(),
              testing::EndsWith("line 100999\n"));
}

TEST(SlurmLauncher, ALogIsReadFromATimeOn) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1,
                                  "echo old; until [ -e go ]; do sleep 0.05; done; echo new");
  launcher->Start(part);
  ASSERT_TRUE(WaitUntil(60, [&] { return LogOf(*launcher, part.token()) == "old\n"; }));
  // Times are kept to the second.
  const int64_t written_ms = WallMs();
  ASSERT_TRUE(WaitUntil(60, [&] { return WallMs() > written_ms + 2'000; }));
  std::ofstream(cluster.folder() / "work/job-1/go") << "";
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  ReadLogChunk request;
  *request.mutable_token() = part.token();
  request.set_since_ms(written_ms + 1'500);
  const auto since = launcher->ReadLog(request);
  ASSERT_TRUE(since.ok()) << since.status();
  EXPECT_EQ(since->data(), "new\n");
}

TEST(SlurmLauncher, WhatMpirunSaysIsBoundedAndItsEndIsShown) {
  FakeCluster cluster;
  const fs::path mpirun = cluster.folder() / "bin/mpirun";
  std::ofstream(mpirun)
      << "#!/bin/sh\ni=100000; while [ $i -lt 101000 ]; do echo word $i; i=$((i + 1)); done\n"
         "echo it failed >&2; exit 1\n";
  fs::permissions(mpirun, fs::perms::owner_all);
  const std::string path = std::getenv("PATH");
  setenv("PATH", (mpirun.parent_path().string() + ":" + path).c_str(), 1);
  SlurmLauncherOptions options = cluster.Options();
  options.log_limit_bytes = 4'000;
  const auto launcher = SlurmLauncher::Open(options);
  PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "true");
  part.mutable_spec()->mutable_roles(0)->set_ranks(2);
  (*launcher)->Start(part);
  EXPECT_TRUE(WaitForState(**launcher, part.token(), PART_ENDED));
  setenv("PATH", path.c_str(), 1);
  const AttemptEnd end = ReportOf(**launcher, part.token()).end();
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_THAT(end.log_tail(), HasSubstr("word 100999\nit failed\n"));
  ReadLogChunk request;
  *request.mutable_token() = part.token();
  request.set_rank(-1);
  const auto first = (*launcher)->ReadLog(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->gap());
  EXPECT_GE(first->offset(), 12'000 - 4'000);
}

TEST(SlurmLauncher, ASubmissionWhoseAnswerWasLostRunsOnce) {
  FakeCluster cluster;
  cluster.Set("lose");
  cluster.Set("hold");
  SlurmLauncherOptions options = cluster.Options();
  options.command_timeout_ms = 3'000;  // enough for what sbatch does before it is silent
  const auto launcher = SlurmLauncher::Open(options);
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "echo ran >>ran");
  (*launcher)->Start(part);
  ASSERT_TRUE(WaitUntilSubmitted(**launcher, part.token()));
  cluster.Clear("lose");
  cluster.Clear("hold");
  ASSERT_TRUE(WaitForState(**launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(**launcher, part.token()).end().kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(TextOf(cluster.folder() / "work/job-1/ran"), "ran\n");
  EXPECT_EQ(cluster.Jobs().size(), 1);
}

TEST(SlurmLauncher, AnAttemptThatIsSubmittedTwiceRunsOnce) {
  FakeCluster cluster;
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  // Two agents of one cluster, each with a state folder that knows nothing of the other's.
  const auto first = cluster.OpenLauncher("first");
  first->Start(part);
  ASSERT_TRUE(WaitForState(*first, part.token(), PART_RUNNING));
  const auto second = cluster.OpenLauncher("second");
  second->Start(part);
  ASSERT_TRUE(WaitUntil(60, [&] { return cluster.Jobs().size() == 2; }));
  cluster.Set("go");
  ASSERT_TRUE(WaitForState(*first, part.token(), PART_ENDED));
  ASSERT_TRUE(WaitForState(*second, part.token(), PART_ENDED));
  EXPECT_EQ(TextOf(cluster.folder() / "ran"), "begin\nend\n");
  EXPECT_EQ(ReportOf(*second, part.token()).end().kind(), AttemptEnd::FINISHED);
}

TEST(SlurmLauncher, ANewAgentProcessGoesOnWithWhatRuns) {
  FakeCluster cluster;
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  cluster.OpenLauncher()->Start(part);  // and is gone, perhaps before it asked Slurm
  auto launcher = cluster.OpenLauncher();
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  launcher.reset();
  launcher = cluster.OpenLauncher();
  EXPECT_EQ(ReportOf(*launcher, part.token()).state(), PART_RUNNING);
  cluster.Set("go");
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  launcher.reset();
  launcher = cluster.OpenLauncher();
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(TextOf(cluster.folder() / "ran"), "begin\nend\n");
  launcher->Forget(part.token());
  EXPECT_TRUE(launcher->Parts().empty());
}

TEST(SlurmLauncher, WhyAJobWaitsInSlurmIsTold) {
  FakeCluster cluster;
  cluster.Set("hold");
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, Lasting(cluster.folder()));
  const auto reason = [&] { return ReportOf(*launcher, part.token()).slurm_reason(); };
  launcher->Start(part);
  ASSERT_TRUE(WaitUntilSubmitted(*launcher, part.token()));
  EXPECT_EQ(reason(), "") << "Slurm hasn't looked at it";
  cluster.Set("reason", "ReqNodeNotAvail, UnavailableNodes:t[1-2]\n");
  EXPECT_TRUE(
      WaitUntil(60, [&] { return reason() == "ReqNodeNotAvail, UnavailableNodes:t[1-2]"; }));
  cluster.Clear("hold");
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  EXPECT_EQ(reason(), "");
  cluster.Set("go");
}

TEST(SlurmLauncher, WhatIsStoppedBeforeItBeganNeverRuns) {
  FakeCluster cluster;
  cluster.Set("hold");
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "echo ran >>ran");
  launcher->Start(part);
  ASSERT_TRUE(WaitUntilSubmitted(*launcher, part.token()));
  // Slurm can't be told, and starts it afterwards.
  cluster.Set("down");
  launcher->Stop(part.token(), CANCELLED_BY_USER, 0);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_STOPPING));
  ASSERT_TRUE(WaitUntil(60, [&] { return fs::exists(SlurmFolder::Of(part).path() / "claim"); }));
  cluster.Clear("hold");
  ASSERT_TRUE(WaitUntil(60, [&] { return cluster.JobFile("1", "state") == "COMPLETED\n"; }));
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().kind(), AttemptEnd::NEVER_STARTED);
  EXPECT_FALSE(fs::exists(cluster.folder() / "work/job-1/ran"));

  const PartSpec late = ShellPart(cluster.folder() / "work", 2, 1, "echo ran >>ran");
  launcher->Stop(late.token(), FENCED, 0);
  launcher->Start(late);
  EXPECT_EQ(ReportOf(*launcher, late.token()).end().kind(), AttemptEnd::NEVER_STARTED);
}

TEST(SlurmLauncher, WhatIsAskedToStopSavesWithinItsGrace) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1,
                                  "trap 'echo saved; exit 75' USR1; echo ready; "
                                  "while :; do sleep 0.05; done");
  launcher->Start(part);
  ASSERT_TRUE(WaitUntil(60, [&] { return LogOf(*launcher, part.token()) == "ready\n"; }));
  launcher->Stop(part.token(), PREEMPTED, 60'000);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().kind(), AttemptEnd::SAVED);
  EXPECT_EQ(LogOf(*launcher, part.token()), "ready\nsaved\n");
}

TEST(SlurmLauncher, WhatDoesntSaveInItsGraceIsEnded) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part =
      ShellPart(cluster.folder() / "work", 1, 1, "trap '' USR1 TERM; while :; do sleep 0.05; done");
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_RUNNING));
  launcher->Stop(part.token(), PREEMPTED, 300);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*launcher, part.token()).end().kind(), AttemptEnd::STOPPED);
}

TEST(SlurmLauncher, WhatSlurmRefusesIsTheUsersErrorInSlurmsWords) {
  FakeCluster cluster;
  cluster.Set("refuse",
              "sbatch: error: Batch job submission failed: Invalid partition name specified\n");
  const auto launcher = cluster.OpenLauncher();
  const PartSpec part = ShellPart(cluster.folder() / "work", 1, 1, "true");
  launcher->Start(part);
  ASSERT_TRUE(WaitForState(*launcher, part.token(), PART_ENDED));
  const AttemptEnd end = ReportOf(*launcher, part.token()).end();
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR);
  EXPECT_THAT(end.message(), HasSubstr("Invalid partition name"));
}

TEST(SlurmLauncher, ALaterAttemptTakesOverFromOneOnAnotherCluster) {
  FakeCluster old_cluster, new_cluster;
  const auto old_launcher = old_cluster.OpenLauncher();
  const auto new_launcher = new_cluster.OpenLauncher();
  const fs::path shared = old_cluster.folder() / "work";
  const PartSpec first = ShellPart(shared, 1, 1, "while :; do date +%s%N >beat; sleep 0.02; done");
  const PartSpec second = ShellPart(shared, 1, 2, "cat beat; sleep 0.2; cat beat");
  old_launcher->Start(first);
  ASSERT_TRUE(WaitForState(*old_launcher, first.token(), PART_RUNNING));
  new_launcher->Start(second);
  ASSERT_TRUE(WaitForState(*new_launcher, second.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*new_launcher, second.token()).end().kind(), AttemptEnd::FINISHED);
  const std::string log = LogOf(*new_launcher, second.token());
  const size_t half = log.size() / 2;
  EXPECT_EQ(log.substr(0, half), log.substr(half)) << "the first one ran beside the second";
  ASSERT_TRUE(WaitForState(*old_launcher, first.token(), PART_ENDED));
  EXPECT_EQ(ReportOf(*old_launcher, first.token()).end().kind(), AttemptEnd::STOPPED);
}

TEST(SlurmLauncher, OneAgentHoldsAStateFolder) {
  FakeCluster cluster;
  const auto launcher = cluster.OpenLauncher();
  EXPECT_EQ(SlurmLauncher::Open(cluster.Options()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tanren::coordinator
