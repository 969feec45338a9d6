// The launcher on a real Slurm of this machine's own, for tests:
// tests/end_to_end/slurm/launcher_test.sh starts it, and names its folder in
// TANREN_SLURM_TEST_FOLDER.
#ifndef TANREN_TESTS_COORDINATOR_LAUNCH_SLURM_REAL_SLURM_H_
#define TANREN_TESTS_COORDINATOR_LAUNCH_SLURM_REAL_SLURM_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/launch/slurm/slurm_launcher.h"
#include "gtest/gtest.h"
#include "tests/coordinator/launch/slurm/fake_cluster.h"

namespace tanren::coordinator {

// In seconds: longer than anything takes on a machine that is ten times slower and busy.
constexpr double kPatience = 180;

std::filesystem::path Folder();
// What one of Slurm's programs prints, errors last.
std::string Slurm(const std::vector<std::string>& arguments);
// "slurmctld", "slurmd-t1", …; returns once it is gone.
void KillDaemon(const std::string& name, int signal);
// Returns once it answers.
void StartController();
// slurmctld writes its jobs some seconds after a change. One that dies before forgets the newest
// and gives their numbers again, and a node on which such a job runs is drained for the double.
void MakeSlurmSave(const std::string& job);

class RealSlurm : public testing::Test {
 protected:
  RealSlurm() {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    work_ = Folder() / "work" / name;
    std::filesystem::create_directories(work_);
    options_.state = Folder() / "state" / ("agent-" + name);
    std::filesystem::create_directories(options_.state);
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

  std::filesystem::path work_;
  SlurmLauncherOptions options_;
  std::unique_ptr<SlurmLauncher> launcher_;
};

// Slurm counts the time limit in minutes: what begins first is looked at by a later test.
constexpr char kUntilTheLimit[] = "AtSlurmsTimeLimit";
SlurmLauncherOptions LimitOptions(SlurmLauncherOptions options);

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_LAUNCH_SLURM_REAL_SLURM_H_
