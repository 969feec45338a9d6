#include "coordinator/launch/local/local_launcher.h"

#include "tests/coordinator/launch/launcher_contract.h"
#include "tests/coordinator/launch/local/local_machine.h"

namespace tanren::coordinator {
namespace {

const auto kIsolated = [] { return std::make_unique<LocalMachine>(); };
const auto kTogether = [] {
  return std::make_unique<LocalMachine>("one", [](auto& options) { options.isolate = false; });
};
INSTANTIATE_TEST_SUITE_P(Local, LauncherContract,
                         testing::Values(LauncherFactory(kIsolated), LauncherFactory(kTogether)),
                         [](const auto& info) {
                           return info.index == 0 ? "Isolated" : "Together";
                         });

}  // namespace
}  // namespace tanren::coordinator
