#include "trainer/loop/machine_limit.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "gtest/gtest.h"

namespace tanren::trainer {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

uint64_t ResidentBytes() {
  uint64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST(MachineLimit, TheProductRateIsInOperationsASecond) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double rate = MeasureProductRate(dtype, at::kCPU);
    EXPECT_GT(rate, 1e8) << dtype;
    EXPECT_LT(rate, 1e15) << dtype;
  }
}

TEST(MachineLimit, PeakMemoryGrowsWhenMemoryIsTouchedAndStays) {
  const uint64_t before = PeakMemoryBytes();
  const uint64_t touched = before - std::min(before, ResidentBytes()) + 64 * kMegabyte;
  { const std::vector<char> memory(touched, 1); }
  const uint64_t after = PeakMemoryBytes();
  EXPECT_GT(after, before + 48 * kMegabyte);
  EXPECT_LT(after, before + 128 * kMegabyte);
  EXPECT_LT(ResidentBytes(), after - 48 * kMegabyte) << "the memory has been given back";
}

// getrusage's ru_maxrss is not what is asked for: it counts what the process was before exec, a
// copy of its parent.
TEST(MachineLimit, PeakMemoryIsOfThisProgramAndNotOfTheOneThatStartedIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // starts this program again
  constexpr char kStartedByTest[] = "TANREN_STARTED_BY_MACHINE_LIMIT_TEST";
  const bool is_parent = std::getenv(kStartedByTest) == nullptr;
  const std::vector<char> memory(is_parent ? 512 * kMegabyte : 0, 1);
  setenv(kStartedByTest, "1", 1);
  EXPECT_EXIT(std::_Exit(PeakMemoryBytes() < ResidentBytes() + 256 * kMegabyte ? 0 : 1),
              testing::ExitedWithCode(0), "");
  unsetenv(kStartedByTest);
}

}  // namespace
}  // namespace tanren::trainer
