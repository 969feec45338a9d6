#include <memory>

#include "tests/coordinator/launch/launcher_contract.h"
#include "tests/coordinator/launch/slurm/fake_cluster.h"

namespace tanren::coordinator {
namespace {

class SlurmUnderTest : public LauncherUnderTest {
 public:
  SlurmUnderTest() {
    std::filesystem::create_directories(folder());
    Reopen();
  }
  ~SlurmUnderTest() override { launcher_.reset(); }
  Launcher& launcher() override { return *launcher_; }
  void Reopen() override {
    launcher_.reset();
    launcher_ = cluster_.OpenLauncher();
  }
  std::string node() const override { return "cluster"; }
  std::string folder() const override { return cluster_.folder() / "jobs_of_users"; }

 private:
  FakeCluster cluster_;
  std::unique_ptr<SlurmLauncher> launcher_;
};

INSTANTIATE_TEST_SUITE_P(Slurm, LauncherContract, testing::Values(LauncherFactory([] {
                           return std::make_unique<SlurmUnderTest>();
                         })));

}  // namespace
}  // namespace tanren::coordinator
