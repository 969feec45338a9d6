// A Slurm of scripts (fake_slurm/) and a launcher on it, for tests.
#ifndef TANREN_TESTS_COORDINATOR_LAUNCH_SLURM_FAKE_CLUSTER_H_
#define TANREN_TESTS_COORDINATOR_LAUNCH_SLURM_FAKE_CLUSTER_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/launch/slurm/slurm_launcher.h"
#include "proto/coordinator.pb.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {

// Its folder goes with it; jobs that still run are ended.
class FakeCluster {
 public:
  FakeCluster();
  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;
  ~FakeCluster();

  const std::filesystem::path& folder() const { return folder_; }
  // Short times; its state in `<folder>/<agent>`.
  SlurmLauncherOptions Options(const std::string& agent = "agent") const;
  std::unique_ptr<SlurmLauncher> OpenLauncher(const std::string& agent = "agent") const;

  // The files that make the scripts fail: "down", "hide", "hold", "lose", "mute", "refuse",
  // "slow".
  void Set(const std::string& what, const std::string& text = "") const;
  void Clear(const std::string& what) const;
  // The ids that sbatch gave so far.
  std::vector<std::string> Jobs() const;
  // How often squeue has been asked so far.
  size_t Listings() const;
  std::string JobFile(const std::string& id, const std::string& name) const;
  void WriteJobFile(const std::string& id, const std::string& name, const std::string& text) const;
  // As Slurm does some minutes after a job's end.
  void ForgetJob(const std::string& id) const;

 private:
  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
};

// A command of one rank in `folder`, run by /bin/sh.
PartSpec ShellPart(const std::filesystem::path& folder, uint64_t job, uint32_t attempt,
                   const std::string& script);

// A script that appends a line to `<folder>/ran` at its start and at its end, and lasts until there
// is a file `<folder>/go`.
std::string Lasting(const std::filesystem::path& folder);

// Polls; false after `seconds`.
bool WaitUntil(double seconds, const std::function<bool()>& holds);
// The part's report; of KIND/STATE 0 if there is none.
PartReport ReportOf(Launcher& launcher, const AttemptToken& token);
// Until sbatch's answer for the part has come.
bool WaitUntilSubmitted(Launcher& launcher, const AttemptToken& token);
bool WaitForState(Launcher& launcher, const AttemptToken& token, PartState state,
                  double seconds = 60);
// One that has died, and whose parent hasn't taken note of it yet, doesn't live.
bool Lives(const std::string& process);
std::string TextOf(const std::filesystem::path& path);

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_LAUNCH_SLURM_FAKE_CLUSTER_H_
