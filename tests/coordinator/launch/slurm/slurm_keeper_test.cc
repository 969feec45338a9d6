// What stands between mpirun and a rank, without either a Slurm or an mpirun.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "coordinator/launch/log_spool.h"
#include "coordinator/launch/slurm/slurm_environment.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_process.h"
#include "gtest/gtest.h"
#include "tests/coordinator/launch/slurm/fake_cluster.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

class SlurmKeeper : public testing::Test {
 protected:
  // A rank that runs `script`, as mpirun would start it.
  void Start(const std::string& script) {
    SlurmTask task;
    *task.mutable_part() = ShellPart(temporary_.path(), 1, 1, script);
    slurm_ = SlurmFolder::Of(task.part());
    ASSERT_TRUE(slurm_.Prepare(task).ok());
    ChildProgram program;
    program.argv = {fs::read_symlink("/proc/self/exe"), "slurm-rank", slurm_.path(), "trainer"};
    Environment environment = CurrentEnvironment();
    environment["OMPI_COMM_WORLD_RANK"] = "0";
    program.environment = EnvironmentStrings(environment);
    const auto started = StartChild(program);
    ASSERT_TRUE(started.ok()) << started.status();
    front_ = *started;
  }
  std::string Log() const { return SpoolTail(slurm_.log("trainer", 0), 1'000); }
  // The numbers that the rank has written, once there are `count`.
  std::vector<std::string> Processes(size_t count) const {
    std::vector<std::string> processes;
    EXPECT_TRUE(WaitUntil(60, [&] {
      const std::string log = Log();
      processes = absl::StrSplit(log, '\n', absl::SkipEmpty());
      return processes.size() == count && log.ends_with('\n');
    })) << Log();
    return processes;
  }
  std::vector<SlurmRankExit> Records() const {
    EXPECT_TRUE(WaitUntil(60, [&] { return !slurm_.RankExits().empty(); }));
    return slurm_.RankExits();
  }
  int WaitForFront() const {
    int status = 0;
    waitpid(front_, &status, 0);
    return ShellCode(status);
  }

  const TemporaryFolder temporary_;
  SlurmFolder slurm_{""};
  pid_t front_ = -1;
};

constexpr char kDeaf[] =
    "trap '' TERM; setsid sleep 600 >/dev/null 2>&1 & echo $!; echo $$; while :; do sleep 0.05; "
    "done";

TEST_F(SlurmKeeper, WhatARankLeavesBehindEndsThoughMpirunKillsWhatItStarted) {
  Start(kDeaf);
  const std::vector<std::string> processes = Processes(2);
  kill(front_, SIGKILL);
  EXPECT_EQ(WaitForFront(), 128 + SIGKILL);
  const std::vector<SlurmRankExit> records = Records();
  for (const std::string& process : processes) EXPECT_FALSE(Lives(process)) << process;
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].signal(), SIGKILL);
  EXPECT_TRUE(records[0].told_to_end());
}

TEST_F(SlurmKeeper, ARankThatIsDeafToSigtermIsKilledWithWhatItLeavesBehind) {
  Start(kDeaf);
  const std::vector<std::string> processes = Processes(2);
  kill(front_, SIGTERM);
  EXPECT_EQ(WaitForFront(), 128 + SIGKILL);
  for (const std::string& process : processes) EXPECT_FALSE(Lives(process)) << process;
  EXPECT_TRUE(slurm_.AllStartedEnded());
}

TEST_F(SlurmKeeper, ARankThatEndsByItselfIsToldByNobody) {
  Start("echo said; exit 3");
  EXPECT_EQ(WaitForFront(), 3);
  EXPECT_EQ(Log(), "said\n");
  EXPECT_TRUE(slurm_.AllStartedEnded());
  ASSERT_EQ(Records().size(), 1u);
  EXPECT_FALSE(Records()[0].told_to_end());
}

TEST_F(SlurmKeeper, ARankHearsThatItIsToSave) {
  Start("trap 'echo saved; exit 75' USR1; echo ready; while :; do sleep 0.05; done");
  EXPECT_EQ(Processes(1), std::vector<std::string>{"ready"});
  EXPECT_FALSE(slurm_.AllStartedEnded());
  kill(front_, SIGUSR1);
  EXPECT_EQ(WaitForFront(), 75);
  EXPECT_EQ(Log(), "ready\nsaved\n");
}

}  // namespace
}  // namespace tanren::coordinator
