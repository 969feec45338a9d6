#include "runtime/base/gpu_probe.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(GpuProbe, ListsWhatTheDriverKnowsAndSaysWhichGpuIsLost) {
  const GpuProbe probe = ProbeGpus(FAKE_NVML);
  EXPECT_TRUE(probe.driver_found);
  EXPECT_EQ(probe.driver_version, "580.65.06");
  EXPECT_EQ(probe.cuda_version, "13.2");
  ASSERT_THAT(probe.gpus, SizeIs(1));
  EXPECT_EQ(probe.gpus[0].name, "Tesla T4");
  EXPECT_EQ(probe.gpus[0].memory_bytes, uint64_t{16} << 30);
  EXPECT_EQ(probe.gpus[0].memory_free_bytes, uint64_t{15} << 30);
  EXPECT_EQ(probe.gpus[0].compute_major, 7);
  EXPECT_EQ(probe.gpus[0].compute_minor, 5);
  EXPECT_THAT(probe.problem, HasSubstr("GPU 1: error 15"));
}

TEST(GpuProbe, ALibraryWithoutADriverIsAProblemNotAGpu) {
  const GpuProbe probe = ProbeGpus(FAKE_NVML_WITHOUT_DRIVER);
  EXPECT_THAT(probe.gpus, IsEmpty());
  EXPECT_THAT(probe.problem, HasSubstr("error 9"));
}

TEST(GpuProbe, NvlinkJoinsIslandsAlsoThroughOtherGpus) {
  const GpuProbe probe = ProbeGpus(FAKE_NVML_LINKED);
  ASSERT_THAT(probe.gpus, SizeIs(4));
  EXPECT_EQ(probe.gpus[0].island, probe.gpus[2].island);
  EXPECT_EQ(probe.gpus[0].island, probe.gpus[3].island);
  EXPECT_NE(probe.gpus[0].island, probe.gpus[1].island);
}

TEST(GpuProbe, NoLibraryIsNoGpu) {
  EXPECT_THAT(ProbeGpus("libthere-is-no-such-library.so.1").gpus, IsEmpty());
}

TEST(GpuProbe, ALibraryWithoutTheFunctionsIsAProblem) {
  EXPECT_THAT(ProbeGpus("libc.so.6").problem, HasSubstr("does not start"));
}

}  // namespace
}  // namespace tanren
