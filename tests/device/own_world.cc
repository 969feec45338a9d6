#include "tests/device/own_world.h"

#include <cstdlib>
#include <memory>

#include "runtime/kernels/device_features.h"

namespace tanren {

comm::World* OwnWorld() {
  // Never ended: NCCL's and CUDA's libraries may be unloaded before it would be.
  static comm::World* const world = []() -> comm::World* {
    auto made = std::make_unique<comm::World>(comm::WorldOptions{});
    const bool rehearsal = std::getenv("TANREN_DEVICE_REHEARSAL") != nullptr;
    return made->device().is_cpu() && !rehearsal ? nullptr : made.release();
  }();
  return world;
}

bool HasProducts(at::ScalarType dtype) {
  const int capability = kernels::ComputeCapability(OwnWorld()->device());
  return dtype != at::kBFloat16 || capability == 0 || capability >= kernels::kFirstWithBf16;
}

}  // namespace tanren
