#include <torch/headeronly/version.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/machine.h"
#include "runtime/device/cuda_module.h"
#include "runtime/kernels/cpu_features.h"
#include "trainer/commands/commands.h"

namespace tanren::trainer {
namespace {

// Whether ranks can use GPUs together.
void AddCudaModule(bool driver_found, std::vector<Finding>& findings) {
  const std::filesystem::path module = device::FindCudaModule();
  Finding found{Finding::State::kOk, "CUDA module", module.string(), ""};
  if (module.empty()) {
    found.found = "not built";
    if (driver_found) {
      found.state = Finding::State::kMissing;
      found.advice = "GPUs need it: deploy/install.sh --cuda, then configure and build anew";
    }
  }
  findings.push_back(std::move(found));
#ifdef TANREN_NCCL_LIBRARY
  const absl::StatusOr<std::string> version = NcclVersion(TANREN_NCCL_LIBRARY);
  if (version.ok()) {
    findings.push_back({Finding::State::kOk, "NCCL", *version, ""});
  } else {
    findings.push_back({driver_found ? Finding::State::kMissing : Finding::State::kNote, "NCCL",
                        std::string(version.status().message()), "deploy/install.sh installs it"});
  }
#else
  findings.push_back({driver_found ? Finding::State::kMissing : Finding::State::kOk, "NCCL",
                      "none, for this was built without the CUDA module", ""});
#endif
}

int Doctor() {
  const std::vector<std::filesystem::path> disks = {std::filesystem::current_path()};
  const Machine machine = ProbeMachine(disks);
  std::vector<Finding> findings = Examine(machine);
  AddCudaModule(machine.gpus.driver_found, findings);
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
