// What the two halves of the fake device share: fake_device.cc, which has its memory and tells
// libtorch of it, and fake_device_operations.cc, which has its operations.
#ifndef TANREN_TESTS_RUNTIME_COMM_FAKE_DEVICE_STATE_H_
#define TANREN_TESTS_RUNTIME_COMM_FAKE_DEVICE_STATE_H_

#include <c10/core/Allocator.h>

#include <cstdint>
#include <mutex>
#include <string>

#include "tests/runtime/comm/fake_device.h"

namespace tanren::comm {

struct FakeDeviceState {
  std::mutex mutex;  // of all but `races`
  FakeUse use;
  int64_t bytes = 0;
  RaceDetector races;
};
FakeDeviceState& FakeStateOf(const at::Device& device);

// Of the calling thread.
int CurrentFakeDevice();
c10::Allocator& FakeDeviceMemory();
// The host would wait for the device here.
void NoteFakeWait(const at::Device& device, std::string what);
// Does nothing: who names it has the linker take the operations, which libtorch finds by itself.
void LinkFakeOperations();

}  // namespace tanren::comm

#endif  // TANREN_TESTS_RUNTIME_COMM_FAKE_DEVICE_STATE_H_
