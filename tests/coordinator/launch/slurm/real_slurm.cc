#include "tests/coordinator/launch/slurm/real_slurm.h"

#include <signal.h>

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "coordinator/launch/slurm/slurm_command.h"

namespace tanren::coordinator {

namespace fs = std::filesystem;

fs::path Folder() { return std::getenv("TANREN_SLURM_TEST_FOLDER"); }

std::string Slurm(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"/usr/bin/env"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto result = RunCommand(argv, SlurmClientEnvironment(), 60'000);
  return result.ok() ? result->output + result->errors : result.status().ToString();
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

void MakeSlurmSave(const std::string& job) {
  const fs::path jobs = Folder() / "state" / "job_state";
  const fs::file_time_type now = fs::file_time_type::clock::now();
  ASSERT_EQ(Slurm({"scontrol", "update", "JobId=" + job, "TimeLimit=9"}), "");
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    return fs::exists(jobs) && fs::last_write_time(jobs) > now;
  })) << jobs;
}

SlurmLauncherOptions LimitOptions(SlurmLauncherOptions options) {
  options.state = Folder() / "state" / kUntilTheLimit;
  return options;
}

}  // namespace tanren::coordinator
