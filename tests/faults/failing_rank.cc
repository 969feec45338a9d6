// A rank of a small run that fails in the way that its first argument names, at step 2; its second
// argument is the run folder.
#include <ATen/ATen.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>
#include <string>

#include "runtime/base/error.h"
#include "runtime/comm/world.h"

namespace tanren::comm {
namespace {

constexpr int kVictim = 1;

absl::StatusOr<int> Fault(const std::string& kind, World& world) {
  const bool victim = world.communicator().rank() == kVictim;
  if (kind == "saves") {
    // To mpirun, as a person would: it gives the signal to every rank.
    if (victim) kill(getppid(), SIGUSR1);
    while (!world.SaveRequested()) usleep(1000);
    return kSavedExitCode;
  }
  if (!victim) return 0;
  if (kind == "throws") throw std::runtime_error("the loss is not finite");
  if (kind == "returns") return absl::NotFoundError("data/train.jsonl: not there");
  if (kind == "dies") kill(getpid(), SIGKILL);
  if (kind == "exits") _exit(0);
  while (kind == "hangs") pause();
  return 0;
}

absl::StatusOr<int> Run(const std::string& kind, World& world) {
  const at::Tensor weights = at::ones({1024}, at::TensorOptions().device(world.device()));
  for (int step = 0; step < 4; ++step) {
    if (world.flight_recorder() != nullptr) world.flight_recorder()->SetStep(step);
    world.communicator().AllReduce(weights, ReduceOp::kSum, "model.layers.3")->Wait();
    if (step != 2) continue;
    TANREN_ASSIGN_OR_RETURN(const int code, Fault(kind, world));
    if (code != 0) return code;
  }
  return 0;
}

}  // namespace
}  // namespace tanren::comm

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string kind = argv[1];
  tanren::comm::WorldOptions options;
  options.run_folder = argv[2];
  options.collective_timeout = std::chrono::seconds(3);
  return tanren::comm::RunRank(
      options, [&](tanren::comm::World& world) { return tanren::comm::Run(kind, world); });
}
