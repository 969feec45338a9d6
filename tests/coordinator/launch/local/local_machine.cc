#include "tests/coordinator/launch/local/local_machine.h"

#include <csignal>
#include <cstdlib>
#include <utility>

#include "coordinator/launch/local/launch_command.h"
#include "coordinator/launch/part_folder.h"
#include "coordinator/state/cluster.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

// Made by main, one after the other: each launcher takes one.
std::vector<std::unique_ptr<ForkServer>> fork_servers;
constexpr int kForkServers = 120;

}  // namespace

LocalMachine::LocalMachine(std::string node, std::function<void(LocalLauncherOptions&)> change)
    : node_(std::move(node)), change_(std::move(change)) {
  fs::permissions(folder_, fs::perms(0755));
  fs::create_directories(folder());
  Open();
}

LocalMachine::~LocalMachine() {
  if (launcher_ == nullptr) Open();
  for (const PartReport& part : launcher_->Parts()) launcher_->Stop(part.token(), FENCED, 0);
  for (const PartReport& part : launcher_->Parts()) EndOf(*launcher_, part.token());
  Close();
}

void LocalMachine::Open() {
  LocalLauncherOptions options;
  options.state = state();
  options.node = node_;
  options.allow_root = true;
  ASSERT_FALSE(fork_servers.empty());
  options.fork_server = std::move(fork_servers.back());
  fork_servers.pop_back();
  if (change_) change_(options);
  absl::StatusOr<std::unique_ptr<LocalLauncher>> launcher = LocalLauncher::Open(std::move(options));
  ASSERT_TRUE(launcher.ok()) << launcher.status();
  launcher_ = *std::move(launcher);
  launcher_->SetDeadline(SteadyMs() + 3'600'000);
}

void LocalMachine::Reopen() {
  Close();
  Open();
}

fs::path LocalMachine::part(const AttemptToken& token) const {
  return state() / "parts" / TokenText(token);
}

}  // namespace tanren::coordinator

int main(int argc, char** argv) {
  using namespace tanren::coordinator;
  if (const std::optional<int> code = RunLaunchCommand(argc, argv)) return *code;
  for (int i = 0; i < kForkServers; ++i) {
    absl::StatusOr<ForkServer> fork_server = StartForkServer();
    if (!fork_server.ok()) return 1;
    fork_servers.push_back(std::make_unique<ForkServer>(*std::move(fork_server)));
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
