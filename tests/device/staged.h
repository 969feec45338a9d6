// A communicator on a device as one that takes tensors on the CPU: they are copied there and back,
// so that the contract's suite runs on it as it is.
#ifndef TANREN_TESTS_DEVICE_STAGED_H_
#define TANREN_TESTS_DEVICE_STAGED_H_

#include <memory>

#include "runtime/comm/communicator.h"

namespace tanren::comm {

std::unique_ptr<Communicator> Staged(std::unique_ptr<Communicator> on_device, at::Device device);

}  // namespace tanren::comm

#endif  // TANREN_TESTS_DEVICE_STAGED_H_
