// What it promises while a controller, a node or a rank dies; and what became of the jobs that
// AtSlurmsTimeLimitBegins, in real_slurm_test.cc, has left running.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "gmock/gmock.h"
#include "tests/coordinator/launch/slurm/real_slurm.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST_F(RealSlurm, AControllerThatIsRestartedDisturbsNothing) {
  Open();
  const PartSpec part = Part(1, 1, "until [ -e go ]; do sleep 0.1; done; echo ran");
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  MakeSlurmSave(Report(part).slurm_job());
  KillDaemon("slurmctld", SIGKILL);
  launcher_.reset();  // the agent too
  Open();
  EXPECT_FALSE(WaitForState(*launcher_, part.token(), PART_ENDED, 5));
  StartController();
  std::ofstream(work_ / "job-1/go") << "";
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(Log(part.token(), 0), "ran\n");
}

std::string HeldJob() {
  const std::string id = Slurm({"sbatch", "--parsable", "--hold", "--wrap=true"});
  return id.substr(0, id.find('\n'));
}

// A controller that dies before it has written its newest jobs, which it forgets: those that it
// takes on from now on.
class ForgetfulController {
 public:
  ForgetfulController() : known_(TextOf(kJobs)) {}
  void DiesAndComesBack() {
    KillDaemon("slurmctld", SIGKILL);
    std::ofstream(kJobs) << known_;
    fs::remove(kJobs.string() + ".old");
    StartController();
  }

 private:
  const fs::path kJobs = Folder() / "state" / "job_state";
  const std::string known_;
};

std::string StateOf(const std::string& job) {
  const std::string state =
      Slurm({"squeue", "--noheader", "--states=all", "--format=%T", "--jobs", job});
  return state.substr(0, state.find('\n'));
}

// The name of a folder with Slurm's programs, of which this one never reaches the controller.
fs::path WithoutSqueue(const fs::path& bin) {
  fs::create_directories(bin);
  for (const char* program : {"sbatch", "scancel", "sacct"}) {
    fs::create_symlink(fs::path("/usr/bin") / program, bin / program);
  }
  std::ofstream(bin / "squeue")
      << "#!/bin/sh\necho Unable to contact slurm controller >&2; exit 1\n";
  fs::permissions(bin / "squeue", fs::perms::owner_all);
  return bin;
}

TEST_F(RealSlurm, AStrangersJobWithANumberThatWasOursIsLeftAlone) {
  Open();
  MakeSlurmSave(HeldJob());
  ForgetfulController controller;
  ASSERT_EQ(Slurm({"scontrol", "update", "PartitionName=test", "State=DOWN"}), "");
  const PartSpec waits = Part(1, 1, "echo ran >>ran");
  launcher_->Start(waits);
  ASSERT_TRUE(HasSlurmJob(waits));
  const std::string number = Report(waits).slurm_job();
  launcher_.reset();
  controller.DiesAndComesBack();
  const std::string strangers =
      Slurm({"sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 600"});
  ASSERT_EQ(strangers, number + "\n");
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return StateOf(number) == "RUNNING"; }));

  // An agent that can't ask Slurm, and is asked to stop what has that number in its record.
  options_.commands = WithoutSqueue(work_ / "bin");
  Open();
  launcher_->Stop(waits.token(), CANCELLED_BY_USER, 0);
  EXPECT_EQ(EndOf(waits).kind(), AttemptEnd::NEVER_STARTED);
  EXPECT_EQ(StateOf(number), "RUNNING");
  EXPECT_FALSE(fs::exists(work_ / "job-1/ran"));
  Slurm({"scancel", number});
}

TEST_F(RealSlurm, AStrangersStateIsntTakenForThatOfAJobThatSlurmForgot) {
  options_.folder_lease_ms = 5'000;
  Open();
  MakeSlurmSave(HeldJob());
  ForgetfulController controller;
  const PartSpec part = Part(1, 1, "echo $$; exec sleep 600");
  launcher_->Start(part);
  const std::string process = FirstLine(part, 0);
  const std::string number = Report(part).slurm_job();
  controller.DiesAndComesBack();
  // Elsewhere, for Slurm drains a node that is given a number twice.
  const std::string strangers =
      Slurm({"sbatch", "--parsable", "--output=/dev/null", "--nodelist=t4", "--wrap=sleep 600"});
  ASSERT_EQ(strangers, number + "\n");
  const AttemptEnd end = EndOf(part);
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE) << end.message();
  EXPECT_FALSE(Lives(process));
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return StateOf(number) == "RUNNING"; }));
  Slurm({"scancel", number});
}

TEST_F(RealSlurm, AtSlurmsTimeLimitEnds) {
  options_ = LimitOptions(options_);
  work_ = Folder() / "work" / kUntilTheLimit;
  Open();
  const PartSpec saves = Part(1, 2, ""), deaf = Part(2, 1, "");
  EXPECT_EQ(EndOf(saves).kind(), AttemptEnd::SAVED) << Log(saves.token(), -1);
  const AttemptEnd end = EndOf(deaf);
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_THAT(end.message(), HasSubstr("time limit"));
}

// Slurm takes what ran there for ended, and would start it again beside the first.
TEST_F(RealSlurm, WhatLivesOnANodeThatSlurmLostEndsBeforeTheAttemptDoes) {
  Open();
  const PartSpec part = Part(1, 1, "echo $$; exec sleep 600");
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  const std::string process = FirstLine(part, 0);
  const std::string node =
      Slurm({"squeue", "--noheader", "--format=%N", "--jobs", Report(part).slurm_job()});
  const std::string name = node.substr(0, node.find('\n'));
  KillDaemon("slurmd-" + name, SIGKILL);
  Slurm({"scontrol", "update", "NodeName=" + name, "State=DOWN", "Reason=test"});
  EXPECT_TRUE(Lives(process));
  const AttemptEnd end = EndOf(part);
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE) << end.message();
  EXPECT_FALSE(Lives(process));
  Slurm({"slurmd", "-f", (Folder() / "slurm.conf").string(), "-N", name});
  // It may go on completing the lost job for minutes.
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    return Slurm({"sinfo", "--noheader", "--nodes=" + name, "--format=%T"}).find("down") ==
           std::string::npos;
  }));
}

TEST_F(RealSlurm, ARankThatDiesOnOneNodeEndsThoseOnOthersAndIsNamed) {
  Open();
  PartSpec part = Part(1, 2, "echo $$; exec sleep 600");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  const std::string other = FirstLine(part, 0);
  int number = 0;
  ASSERT_TRUE(absl::SimpleAtoi(FirstLine(part, 1), &number));
  kill(number, SIGKILL);
  const AttemptEnd end = EndOf(part);
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE) << end.message();
  EXPECT_EQ(end.rank(), 1);
  EXPECT_EQ(end.signal(), SIGKILL);
  EXPECT_FALSE(Lives(other));
}

}  // namespace
}  // namespace tanren::coordinator
