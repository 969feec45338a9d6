// The launcher on a real Slurm: tests/end_to_end/slurm/launcher_test.sh starts one and runs this in
// it.
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
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

fs::path Folder() { return std::getenv("TANREN_SLURM_TEST_FOLDER"); }

std::string Slurm(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"/usr/bin/env"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto result = RunCommand(argv, SlurmClientEnvironment(), 60'000);
  return result.ok() ? result->output + result->errors : result.status().ToString();
}

// In seconds: longer than anything takes on a machine that is ten times slower and busy.
constexpr double kPatience = 180;

// One that has died, and whose parent hasn't taken note of it yet, doesn't live.
bool Lives(const std::string& process) {
  const std::string stat = TextOf("/proc/" + process + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.compare(name_end, 3, ") Z") != 0;
}

void KillDaemon(const std::string& name, int signal) {
  int process = 0;
  const fs::path file = Folder() / (name + ".pid");
  const std::string text = TextOf(file);
  ASSERT_TRUE(absl::SimpleAtoi(text, &process)) << file;
  kill(process, signal);
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return !Lives(std::to_string(process)); }));
  fs::remove(file);
}

void StartController() {
  EXPECT_EQ(Slurm({"slurmctld", "-f", (Folder() / "slurm.conf").string()}), "");
  // Asked in vain, Slurm's programs wait for long.
  ASSERT_TRUE(WaitUntil(kPatience, [] {
    return Slurm({"scontrol", "ping"}).find("is UP") != std::string::npos;
  }));
}

// slurmctld writes its jobs some seconds after a change. One that dies before forgets the newest
// and gives their numbers again, and a node on which such a job runs is drained for the double.
void MakeSlurmSave(const std::string& job) {
  const fs::path jobs = Folder() / "state" / "job_state";
  const fs::file_time_type now = fs::file_time_type::clock::now();
  ASSERT_EQ(Slurm({"scontrol", "update", "JobId=" + job, "TimeLimit=9"}), "");
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    return fs::exists(jobs) && fs::last_write_time(jobs) > now;
  })) << jobs;
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
    options_.allow_root = true;
    options_.poll_ms = 300;
    // A busy disk takes seconds over a beat.
    options_.folder_lease_ms = 20'000;
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
  AttemptEnd EndOf(const PartSpec& part) {
    EXPECT_TRUE(WaitForState(*launcher_, part.token(), PART_ENDED, kPatience))
        << Report(part).ShortDebugString() << "\n"
        << Slurm({"squeue", "--states=all"}) << Log(part.token(), -1);
    return Report(part).end();
  }
  bool Runs(const PartSpec& part) {
    return WaitForState(*launcher_, part.token(), PART_RUNNING, kPatience);
  }
  // A rank runs before it has said anything, or knows what a signal means.
  bool HasSaid(const PartSpec& part, int rank, const std::string& text) {
    return WaitUntil(kPatience,
                     [&] { return Log(part.token(), rank).find(text) != std::string::npos; });
  }
  // The first line of its log.
  std::string FirstLine(const PartSpec& part, int rank) {
    EXPECT_TRUE(HasSaid(part, rank, "\n"));
    const std::string log = Log(part.token(), rank);
    return log.substr(0, log.find('\n'));
  }
  bool HasSlurmJob(const PartSpec& part) {
    return WaitUntil(kPatience, [&] { return !Report(part).slurm_job().empty(); });
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
