// The launcher on a real Slurm: tests/end_to_end/slurm/launcher_test.sh starts one and runs this in
// it.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "coordinator/launch/slurm/slurm_command.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_launcher.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/launch/slurm/fake_cluster.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

fs::path Folder() { return std::getenv("TANREN_SLURM_TEST_FOLDER"); }

std::string Slurm(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"/usr/bin/env"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto result = RunCommand(argv, SlurmClientEnvironment(), 20'000);
  return result.ok() ? result->output + result->errors : result.status().ToString();
}

bool Lives(const std::string& process) {
  int number = 0;
  return absl::SimpleAtoi(process, &number) && kill(number, 0) == 0;
}

void KillDaemon(const std::string& name, int signal) {
  int process = 0;
  const fs::path file = Folder() / (name + ".pid");
  ASSERT_TRUE(absl::SimpleAtoi(TextOf(file), &process)) << file;
  kill(process, signal);
  ASSERT_TRUE(WaitUntil(10, [&] { return kill(process, 0) != 0; }));
  fs::remove(file);
}

// slurmctld writes its jobs every few seconds. One that dies before forgets the newest and gives
// their numbers again, and a node on which such a job runs is drained for the double.
void WaitUntilSlurmHasSaved() {
  const fs::path jobs = Folder() / "state" / "job_state";
  const fs::file_time_type now = fs::file_time_type::clock::now();
  ASSERT_TRUE(WaitUntil(30, [&] { return fs::exists(jobs) && fs::last_write_time(jobs) > now; }))
      << jobs;
}

class RealSlurm : public testing::Test {
 protected:
  RealSlurm() {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    work_ = Folder() / "work" / name;
    fs::create_directories(work_);
    options_.state = Folder() / "state" / ("agent-" + name);
    fs::create_directories(options_.state);
    options_.worker = "/bin/true";
    options_.poll_ms = 300;
    options_.folder_lease_ms = 3'000;
    options_.heartbeat_ms = 300;
    options_.record_wait_ms = 2'000;
    // Ranks of two "nodes" on one host can't share memory as MPI takes it.
    options_.mpi_environment["OMPI_MCA_btl"] = "tcp,self";
  }
  void Open() {
    auto launcher = SlurmLauncher::Open(options_);
    ASSERT_TRUE(launcher.ok()) << launcher.status();
    launcher_ = *std::move(launcher);
  }
  PartSpec Part(uint64_t job, int ranks, const std::string& script) {
    PartSpec part = ShellPart(work_, job, 1, script);
    part.mutable_spec()->mutable_roles(0)->set_ranks(ranks);
    return part;
  }
  std::string Log(const AttemptToken& token, int rank, const std::string& role = "trainer") {
    ReadLogChunk request;
    *request.mutable_token() = token;
    request.set_role(role);
    request.set_rank(rank);
    request.set_limit(1 << 16);
    const auto chunk = launcher_->ReadLog(request);
    return chunk.ok() ? chunk->data() : chunk.status().ToString();
  }
  PartReport Report(const PartSpec& part) { return ReportOf(*launcher_, part.token()); }
  AttemptEnd EndOf(const PartSpec& part, double seconds = 60) {
    EXPECT_TRUE(WaitForState(*launcher_, part.token(), PART_ENDED, seconds))
        << Report(part).ShortDebugString() << "\n"
        << Slurm({"squeue", "--states=all"}) << Log(part.token(), -1);
    return Report(part).end();
  }
  bool Runs(const PartSpec& part) {
    return WaitForState(*launcher_, part.token(), PART_RUNNING, 30);
  }

  fs::path work_;
  SlurmLauncherOptions options_;
  std::unique_ptr<SlurmLauncher> launcher_;
};

// Begins first, for Slurm counts in minutes; a later test looks what became of it.
constexpr char kUntilTheLimit[] = "AtSlurmsTimeLimit";
SlurmLauncherOptions LimitOptions(SlurmLauncherOptions options) {
  options.state = Folder() / "state" / kUntilTheLimit;
  return options;
}

TEST_F(RealSlurm, AtSlurmsTimeLimitBegins) {
  options_ = LimitOptions(options_);
  work_ = Folder() / "work" / kUntilTheLimit;
  options_.request.save_before_limit_s = 30;
  Open();
  const PartSpec saves = Part(1, 2, "trap 'echo saved; exit 75' USR1; while :; do sleep 0.1; done");
  const PartSpec deaf = Part(2, 1, "trap '' USR1; while :; do sleep 0.1; done");
  for (const PartSpec& part : {saves, deaf}) {
    launcher_->Start(part);
    ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
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
                       "[ $TANREN_ROLE = trainer ] || exec sleep 600; sleep 2; exit 3");
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
  ASSERT_TRUE(WaitUntil(10, [&] {
    processes =
        absl::StrSplit(Log(part.token(), 0) + Log(part.token(), 1), '\n', absl::SkipEmpty());
    return processes.size() == 4;
  }));
  for (const std::string& process : processes) EXPECT_TRUE(Lives(process));
  launcher_->Stop(part.token(), CANCELLED_BY_USER, 0);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::STOPPED);
  for (const std::string& process : processes) EXPECT_FALSE(Lives(process)) << process;
}

TEST_F(RealSlurm, WhatGivesWaySavesOnAllNodes) {
  Open();
  PartSpec part = Part(1, 2, "trap 'echo saved; exit 75' USR1; while :; do sleep 0.1; done");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  launcher_->Stop(part.token(), PREEMPTED, 20'000);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::SAVED) << Log(part.token(), -1);
  // mpirun ends the other rank as soon as one has ended so.
  EXPECT_THAT(Log(part.token(), 0) + Log(part.token(), 1), StartsWith("saved\n"));
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
  options_.command_timeout_ms = 3'000;
  Open();
  const PartSpec part = Part(1, 1, "echo ran >>ran");
  launcher_->Start(part);
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(TextOf(work_ / "job-1/ran"), "ran\n");
}

TEST_F(RealSlurm, AControllerThatIsRestartedDisturbsNothing) {
  Open();
  const PartSpec part = Part(1, 1, "until [ -e go ]; do sleep 0.1; done; echo ran");
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  WaitUntilSlurmHasSaved();
  KillDaemon("slurmctld", SIGKILL);
  launcher_.reset();  // the agent too
  options_.command_timeout_ms = 2'000;
  Open();
  EXPECT_FALSE(WaitForState(*launcher_, part.token(), PART_ENDED, 5));
  Slurm({"slurmctld", "-f", (Folder() / "slurm.conf").string()});
  std::ofstream(work_ / "job-1/go") << "";
  EXPECT_EQ(EndOf(part).kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(Log(part.token(), 0), "ran\n");
}

TEST_F(RealSlurm, AtSlurmsTimeLimitEnds) {
  options_ = LimitOptions(options_);
  work_ = Folder() / "work" / kUntilTheLimit;
  Open();
  const PartSpec saves = Part(1, 2, ""), deaf = Part(2, 1, "");
  EXPECT_EQ(EndOf(saves, 120).kind(), AttemptEnd::SAVED) << Log(saves.token(), -1);
  const AttemptEnd end = EndOf(deaf, 120);
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_THAT(end.message(), HasSubstr("time limit"));
}

// Slurm takes what ran there for ended, and would start it again beside the first.
TEST_F(RealSlurm, WhatLivesOnANodeThatSlurmLostEndsBeforeTheAttemptDoes) {
  Open();
  const PartSpec part = Part(1, 1, "echo $$; exec sleep 600");
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  std::string process = Log(part.token(), 0);
  process.pop_back();
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
  Slurm({"scontrol", "update", "NodeName=" + name, "State=RESUME"});
}

TEST_F(RealSlurm, ARankThatDiesOnOneNodeEndsThoseOnOthersAndIsNamed) {
  Open();
  PartSpec part = Part(1, 2, "echo $$; exec sleep 600");
  part.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  launcher_->Start(part);
  ASSERT_TRUE(Runs(part)) << Log(part.token(), -1);
  std::string process = Log(part.token(), 1);
  process.pop_back();
  int number = 0;
  ASSERT_TRUE(absl::SimpleAtoi(process, &number));
  kill(number, SIGKILL);
  const AttemptEnd end = EndOf(part);
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE) << end.message();
  EXPECT_EQ(end.rank(), 1);
  EXPECT_EQ(end.signal(), SIGKILL);
  std::string other = Log(part.token(), 0);
  other.pop_back();
  EXPECT_FALSE(Lives(other));
}

}  // namespace
}  // namespace tanren::coordinator
