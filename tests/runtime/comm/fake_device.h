// A device for libtorch whose memory is the host's (PrivateUse1): what is written for GPUs runs on
// it, operation by operation, with the CPU's results. It knows where a GPU's host would wait, and
// which memory each operation touches.
//
// There are as many devices as a test needs ranks; a rank's thread makes its own one current.
#ifndef TANREN_TESTS_RUNTIME_COMM_FAKE_DEVICE_H_
#define TANREN_TESTS_RUNTIME_COMM_FAKE_DEVICE_H_

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/runtime/comm/race_detector.h"

namespace tanren::comm {

inline constexpr int kFakeDevices = 4;

// Makes the devices known to libtorch, once for a process; others than their tests stay untouched
// by it, so those tests are a program of their own. Call it before anything else.
void RegisterFakeDevices();

inline at::Device FakeDevice(int index) {
  return at::Device(at::DeviceType::PrivateUse1, static_cast<c10::DeviceIndex>(index));
}
void UseFakeDevice(int index);

// What one device was asked since ForgetFakeUse.
struct FakeUse {
  // Each time the host would have waited, what for: "aten::nonzero", "a copy to the host",
  // "a copy from memory that isn't pinned".
  std::vector<std::string> waits;
  int64_t copies_from_pinned = 0;
  int64_t operations = 0;
  int64_t largest_allocation = 0;  // bytes
  int64_t peak_bytes = 0;
};
FakeUse FakeUseOf(int index);
void ForgetFakeUse(int index);

// Of the device's memory, since the process began.
RaceDetector& RacesOf(int index);

}  // namespace tanren::comm

#endif  // TANREN_TESTS_RUNTIME_COMM_FAKE_DEVICE_H_
