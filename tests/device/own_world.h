// What this process computes on: its GPU, or, where TANREN_DEVICE_REHEARSAL is set, the CPU, so
// that the tests themselves can be seen to run without a GPU.
#ifndef TANREN_TESTS_DEVICE_OWN_WORLD_H_
#define TANREN_TESTS_DEVICE_OWN_WORLD_H_

#include "runtime/comm/world.h"

namespace tanren {

// Made at the first call, which comes before anything else asks libtorch for a device. Null where
// there is no GPU and no rehearsal.
comm::World* OwnWorld();

// Whether products in `dtype` are the GPU's own: a T4 has none in bf16. The CPU has all.
bool HasProducts(at::ScalarType dtype);

}  // namespace tanren

#endif  // TANREN_TESTS_DEVICE_OWN_WORLD_H_
