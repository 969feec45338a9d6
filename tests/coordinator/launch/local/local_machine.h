// A machine with a local launcher in a folder of its own, for tests. The test program has to call
// LaunchTestMain first: it is the agent's program as well.
#ifndef TANREN_TESTS_COORDINATOR_LAUNCH_LOCAL_LOCAL_MACHINE_H_
#define TANREN_TESTS_COORDINATOR_LAUNCH_LOCAL_LOCAL_MACHINE_H_

#include <filesystem>
#include <memory>
#include <string>

#include "coordinator/launch/local/local_launcher.h"
#include "tests/coordinator/launch/launcher_under_test.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {

class LocalMachine : public LauncherUnderTest {
 public:
  // `change` adapts the options.
  explicit LocalMachine(std::string node = "one",
                        std::function<void(LocalLauncherOptions&)> change = nullptr);
  ~LocalMachine() override;

  LocalLauncher& launcher() override { return *launcher_; }
  void Reopen() override;
  // As a crash: nothing watches the parts until Open().
  void Close() { launcher_.reset(); }
  void Open();
  std::string node() const override { return node_; }
  std::string folder() const override { return folder_ / "jobs"; }
  std::filesystem::path state() const { return folder_ / "state"; }
  std::filesystem::path part(const AttemptToken& token) const;

 private:
  const std::string node_;
  const std::function<void(LocalLauncherOptions&)> change_;
  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
  std::unique_ptr<LocalLauncher> launcher_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_LAUNCH_LOCAL_LOCAL_MACHINE_H_
