#include <torch/headeronly/version.h>

#include <filesystem>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/machine.h"
#include "runtime/kernels/cpu_features.h"
#include "trainer/commands/commands.h"

namespace tanren::trainer {
namespace {

int Doctor() {
  const std::vector<std::filesystem::path> disks = {std::filesystem::current_path()};
  const Machine machine = ProbeMachine(disks);
  std::vector<Finding> findings = Examine(machine);
  findings.push_back({Finding::State::kOk, "libtorch", TORCH_VERSION, ""});
  findings.push_back({Finding::State::kOk, "precision",
                      kernels::HasFastBf16Products()
                          ? "auto is bf16: this CPU multiplies it fast"
                          : "auto is fp32: this CPU has no AVX512_BF16 or AMX",
                      ""});
  fmt::print("{}", RenderFindings(findings));
  for (const Finding& finding : findings) {
    if (finding.state == Finding::State::kMissing) return 1;
  }
  return 0;
}

}  // namespace

void AddDoctor(CLI::App& program, Action& action) {
  program.add_subcommand("doctor", "What this machine has to train with, and what is missing")
      ->callback([&action] { action = [] { return Doctor(); }; });
}

}  // namespace tanren::trainer
