// What a rank holds of memory, for metrics.
#ifndef TANREN_TRAINER_LOOP_MEMORY_USE_H_
#define TANREN_TRAINER_LOOP_MEMORY_USE_H_

#include <c10/core/Device.h>

#include <cstdint>

namespace tanren::trainer {

// In bytes.
struct MemoryUse {
  uint64_t resident = 0;       // of this process in the machine's memory
  uint64_t peak_resident = 0;  // the most of it since the program started
  // What libtorch has handed out on the GPU, and the most of it so far. 0 without a GPU.
  uint64_t device = 0;
  uint64_t peak_device = 0;
  bool operator==(const MemoryUse&) const = default;
};

// Asks the kernel and, unless `device` is the CPU, libtorch's allocator of that device (without an
// index: of the current one). Takes tens of microseconds, and waits for no GPU.
MemoryUse MemoryUseNow(c10::Device device);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_MEMORY_USE_H_
