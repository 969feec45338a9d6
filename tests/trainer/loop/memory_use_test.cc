#include "trainer/loop/memory_use.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "gtest/gtest.h"

namespace tanren::trainer {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

uint64_t Peak() { return MemoryUseNow(c10::kCPU).peak_resident; }

uint64_t ResidentBytes() {
  uint64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// Past the allocator, which may keep what is freed.
void TouchAndGiveBack(size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 1, bytes);
  munmap(memory, bytes);
}

TEST(MemoryUse, PeakMemoryGrowsWhenMemoryIsTouchedAndStays) {
  const uint64_t before = Peak();
  const uint64_t touched = before - std::min(before, ResidentBytes()) + 64 * kMegabyte;
  TouchAndGiveBack(touched);
  const uint64_t after = Peak();
  EXPECT_GT(after, before + 48 * kMegabyte);
  EXPECT_LT(after, before + 128 * kMegabyte);
  EXPECT_LT(ResidentBytes(), after - 48 * kMegabyte) << "the memory has been given back";
}

// getrusage's ru_maxrss is not what is asked for: it counts what the process was before exec, a
// copy of its parent.
TEST(MemoryUse, PeakMemoryIsOfThisProgramAndNotOfTheOneThatStartedIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // starts this program again
  constexpr char kStartedByTest[] = "TANREN_STARTED_BY_MEMORY_USE_TEST";
  const bool is_parent = std::getenv(kStartedByTest) == nullptr;
  const std::vector<char> memory(is_parent ? 512 * kMegabyte : 0, 1);
  setenv(kStartedByTest, "1", 1);
  EXPECT_EXIT(std::_Exit(Peak() < ResidentBytes() + 256 * kMegabyte ? 0 : 1),
              testing::ExitedWithCode(0), "");
  unsetenv(kStartedByTest);
}

TEST(MemoryUse, ResidentMemoryComesAndGoes) {
  const uint64_t before = MemoryUseNow(c10::kCPU).resident;
  {
    const std::vector<char> memory(256 * kMegabyte, 1);
    EXPECT_GT(MemoryUseNow(c10::kCPU).resident, before + 192 * kMegabyte);
  }
  EXPECT_LT(MemoryUseNow(c10::kCPU).resident, before + 64 * kMegabyte);
  EXPECT_EQ(MemoryUseNow(c10::kCPU).peak_device, 0u);
}

// Stands in for a GPU's allocator: its third device holds so many bytes.
class SmallDevice final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(size_t) override { return {}; }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void*, const void*, size_t) const override {}
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    if (device != 2) return stats;
    auto& bytes = stats.allocated_bytes[0];
    bytes.increase(900);
    bytes.decrease(200);
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
};

TEST(MemoryUse, OfADeviceIsWhatItsAllocatorHasHandedOut) {
  SmallDevice allocator;
  c10::SetAllocator(c10::DeviceType::PrivateUse1, &allocator);
  const MemoryUse use = MemoryUseNow({c10::DeviceType::PrivateUse1, 2});
  c10::SetAllocator(c10::DeviceType::PrivateUse1, nullptr);
  EXPECT_EQ(use.device, 700u);
  EXPECT_EQ(use.peak_device, 900u);
  EXPECT_GT(use.resident, 0u);
}

}  // namespace
}  // namespace tanren::trainer
