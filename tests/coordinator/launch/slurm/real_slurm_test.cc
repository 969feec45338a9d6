// What the launcher promises while Slurm is well; AtSlurmsTimeLimitBegins comes first.
#include "tests/coordinator/launch/slurm/real_slurm.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_split.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "gmock/gmock.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST_F(RealSlurm, AtSlurmsTimeLimitBegins) {
  options_ = LimitOptions(options_);
  work_ = Folder() / "work" / kUntilTheLimit;
  options_.request.save_before_limit_s = 30;
  Open();
  const PartSpec saves =
      Part(1, 2, "trap 'echo saved; exit 75' USR1; echo ready; while :; do sleep 0.1; done");
  const PartSpec deaf = Part(2, 1, "trap '' USR1; echo ready; while :; do sleep 0.1; done");
  for (const PartSpec& part : {saves, deaf}) {
    launcher_->Start(part);
    ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
    for (int rank = 0; rank < part.spec().roles(0).ranks(); ++rank) {
      ASSERT_TRUE(HasSaid(part, rank, "ready\n"));
    }
    EXPECT_EQ(Slurm({"scontrol", "update", "JobId=" + Report(part).slurm_job(), "TimeLimit=1"}),
              "");
  }
}

TEST_F(RealSlurm, RanksRunOnTwoNodesAndEachHasItsLog) {
  Open();
  PartSpec part = Part(1, 4, "echo $SLURMD_NODENAME $OMPI_COMM_WORLD_SIZE $CUDA_VISIBLE_DEVICES");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(2);
  part.mutable_spec()->mutable_roles(0)->mutable_per_rank()->set_gpus(1);
  launcher_->Start(part);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::FINISHED) << Report(part).end().message();
  std::vector<std::string> nodes;
  for (int rank = 0; rank < 4; ++rank) {
    const std::string log = Log(part.token(), rank);
    EXPECT_THAT(log, HasSubstr(" 4 0,1\n")) << "all GPUs of the job on the node";
    nodes.push_back(log.substr(0, log.find(' ')));
  }
  EXPECT_EQ(nodes[0], nodes[1]);
  EXPECT_EQ(nodes[2], nodes[3]);
  EXPECT_NE(nodes[0], nodes[2]);
}

TEST_F(RealSlurm, RolesShareTheAllocationAndEndTogether) {
  Open();
  PartSpec part = Part(1, 1,
                       "echo $TANREN_ROLE on GPU $CUDA_VISIBLE_DEVICES; "
                       "[ $TANREN_ROLE = trainer ] || { touch runs; exec sleep 600; }; "
                       "until [ -e runs ]; do sleep 0.1; done; exit 3");
  part.mutable_spec()->mutable_roles(0)->mutable_per_rank()->set_gpus(1);
  Role& rollout = *part.mutable_spec()->add_roles();
  rollout.mutable_per_rank()->set_gpus(1);
  rollout.set_name("rollout");
  rollout.set_ranks(1);
  launcher_->Start(part);
  const AttemptEnd end = EndOf(part);
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR) << end.message();
  EXPECT_EQ(end.exit_code(), 3);
  EXPECT_EQ(Log(part.token(), 0), "trainer on GPU 0\n");
  EXPECT_EQ(Log(part.token(), 0, "rollout"), "rollout on GPU 1\n");
}

TEST_F(RealSlurm, ACancelEndsAllRanksAndWhatTheyLeftBehind) {
  Open();
  PartSpec part = Part(1, 2, "echo $$; setsid sleep 600 & echo $!; wait");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  std::vector<std::string> processes;
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    processes =
        absl::StrSplit(Log(part.token(), 0) + Log(part.token(), 1), '\n', absl::SkipEmpty());
    return processes.size() == 4;
  }));
  for (const std::string& process : processes) EXPECT_TRUE(Lives(process));
  launcher_->Stop(part.token(), CANCELLED_BY_USER, 0);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::STOPPED);
  for (const std::string& process : processes) EXPECT_FALSE(Lives(process)) << process;
}

TEST_F(RealSlurm, WhatRanksLeaveBehindEndsWithThemOnEachNode) {
  Open();
  PartSpec part = Part(1, 2, "setsid sleep 600 >/dev/null 2>&1 & echo $!");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  launcher_->Start(part);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::FINISHED) << Log(part.token(), -1);
  const std::vector<std::string> processes =
      absl::StrSplit(Log(part.token(), 0) + Log(part.token(), 1), '\n', absl::SkipEmpty());
  EXPECT_EQ(processes.size(), 2u);
  for (const std::string& process : processes) EXPECT_FALSE(Lives(process)) << process;
}

// mpirun kills what it has started a second after SIGTERM.
TEST_F(RealSlurm, WhatRanksThatAreDeafLeaveBehindEndsWithThemOnEachNode) {
  Open();
  PartSpec part = Part(1, 2,
                       "trap '' TERM; setsid sleep 600 >/dev/null 2>&1 & echo $$ $!; "
                       "while :; do sleep 0.1; done");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  const std::string lines = FirstLine(part, 0) + " " + FirstLine(part, 1);
  const std::vector<std::string> processes = absl::StrSplit(lines, ' ');
  ASSERT_EQ(processes.size(), 4u);
  launcher_->Stop(part.token(), CANCELLED_BY_USER, 0);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::STOPPED);
  for (const std::string& process : processes) EXPECT_FALSE(Lives(process)) << process;
  EXPECT_EQ(SlurmFolder::Of(part).RankExits().size(), 2u);
}

TEST_F(RealSlurm, WhatGivesWaySavesOnAllNodes) {
  Open();
  PartSpec part =
      Part(1, 2, "trap 'echo saved; exit 75' USR1; echo ready; while :; do sleep 0.1; done");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  launcher_->Start(part);
  for (int rank : {0, 1}) ASSERT_TRUE(HasSaid(part, rank, "ready\n")) << Log(part.token(), -1);
  launcher_->Stop(part.token(), PREEMPTED, 120'000);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::SAVED) << Log(part.token(), -1);
  // mpirun ends the other rank as soon as one has ended so.
  EXPECT_THAT(Log(part.token(), 0) + Log(part.token(), 1), HasSubstr("saved\n"));
}

TEST_F(RealSlurm, AnEndThatAPersonMadeInSlurmIsNotTriedAgain) {
  Open();
  const PartSpec part = Part(1, 1, "exec sleep 600");
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  Slurm({"scancel", Report(part).slurm_job()});
  const AttemptEnd end = EndOf(part);
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR) << end.message();
  EXPECT_THAT(end.message(), HasSubstr("scancel"));
}

TEST_F(RealSlurm, WhatSlurmRefusesIsTold) {
  Open();
  PartSpec part = Part(1, 1, "true");
  (*part.mutable_spec()->mutable_slurm())["partition"] = "nowhere";
  launcher_->Start(part);
  const AttemptEnd end = EndOf(part);
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR);
  EXPECT_THAT(end.message(), HasSubstr("nvalid partition"));
}

TEST_F(RealSlurm, AJobRunsAsWhoWantsItAndItsFilesAreTheirs) {
  options_.allow_root = false;
  Open();
  PartSpec roots = Part(1, 1, "id -un");
  roots.set_user("root");
  launcher_->Start(roots);
  EXPECT_EQ(EndOf(roots).kind(), AttemptEnd::USER_ERROR);
  EXPECT_THAT(Report(roots).end().message(), HasSubstr("jobs of root are refused"));

  const passwd* nobody = getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  const uid_t user = nobody->pw_uid;
  PartSpec part = Part(2, 2, "id -un; exec sleep 600");
  part.set_user("nobody");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  launcher_->Start(part);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::USER_ERROR) << "the folder is root's";
  EXPECT_THAT(Report(part).end().message(), HasSubstr("ermission denied"));

  part.mutable_token()->set_attempt(2);
  ASSERT_EQ(chown(work_.c_str(), user, nobody->pw_gid), 0);
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  for (int rank : {0, 1}) EXPECT_EQ(FirstLine(part, rank), "nobody");
  for (const auto& entry : fs::recursive_directory_iterator(work_ / "job-2")) {
    struct stat info = {};
    ASSERT_EQ(lstat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, user) << entry.path();
  }
  // What the user makes of a log doesn't show what only root may read.
  const fs::path log = SlurmFolder::Of(part).log("trainer", 1);
  fs::remove(log);
  fs::create_symlink("/etc/shadow", log);
  EXPECT_THAT(Log(part.token(), 1), HasSubstr("ermission denied"));
  launcher_->Stop(part.token(), CANCELLED_BY_USER, 0);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::STOPPED);
}

TEST_F(RealSlurm, NothingThatAUserWritesIsReadByAShell) {
  Open();
  const std::string hostile = "$(touch pwned) `touch pwned`; touch pwned & 'x' \"y\" \\ %j\n*";
  work_ /= hostile;
  PartSpec part = Part(1, 2, "printf %s \"$TEXT|$1\"");
  part.mutable_spec()->mutable_command()->add_argv("sh");
  part.mutable_spec()->mutable_command()->add_argv(hostile);
  (*part.mutable_spec()->mutable_environment())["TEXT"] = hostile;
  launcher_->Start(part);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::FINISHED) << Log(part.token(), -1);
  EXPECT_EQ(Log(part.token(), 1), hostile + "|" + hostile);
  for (const auto& entry : fs::recursive_directory_iterator(Folder() / "work")) {
    EXPECT_NE(entry.path().filename(), "pwned") << entry.path();
  }
}

TEST_F(RealSlurm, ASubmissionWhoseAnswerWasLostRunsOnce) {
  const fs::path bin = work_ / "bin";
  fs::create_directories(bin);
  for (const char* program : {"squeue", "scancel", "sacct"}) {
    fs::create_symlink(fs::path("/usr/bin") / program, bin / program);
  }
  std::ofstream(bin / "sbatch") << "#!/bin/sh\n/usr/bin/sbatch \"$@\"; exec sleep 60\n";
  fs::permissions(bin / "sbatch", fs::perms::owner_all);
  options_.commands = bin;
  // Enough for what sbatch does before it is silent.
  options_.command_timeout_ms = 10'000;
  Open();
  const PartSpec part = Part(1, 1, "echo ran >>ran");
  launcher_->Start(part);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(TextOf(work_ / "job-1/ran"), "ran\n");
}

}  // namespace
}  // namespace tanren::coordinator
