#include "trainer/loop/memory_use.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <fstream>
#include <string>

namespace tanren::trainer {

MemoryUse MemoryUseNow(c10::Device device) {
  MemoryUse use;
  // Not getrusage's ru_maxrss: that counts the program that started this one too.
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    uint64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) use.peak_resident = kilobytes * 1024;
    if (word == "VmRSS:" && status >> kilobytes) {
      use.resident = kilobytes * 1024;
      break;  // it comes after VmHWM
    }
  }
  if (device.is_cpu()) return use;
  const c10::DeviceIndex index =
      device.has_index() ? device.index()
                         : c10::impl::VirtualGuardImpl(device.type()).getDevice().index();
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(index);
  const auto& bytes =
      stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  use.device = static_cast<uint64_t>(bytes.current);
  use.peak_device = static_cast<uint64_t>(bytes.peak);
  return use;
}

}  // namespace tanren::trainer
