#include "runtime/base/kernel_files.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/file.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;
using ::testing::Eq;
using ::testing::Optional;

constexpr std::string_view kTwoSocketsWithHyperThreads = R"(processor	: 0
vendor_id	: GenuineIntel
model name	: Intel(R) Xeon(R) Platinum 8480+
physical id	: 0
core id		: 0
flags		: fpu avx2 fma avx512f avx512_bf16 amx_bf16

processor	: 1
model name	: Intel(R) Xeon(R) Platinum 8480+
physical id	: 0
core id		: 0
flags		: fpu

processor	: 2
model name	: Intel(R) Xeon(R) Platinum 8480+
physical id	: 1
core id		: 0
flags		: fpu

processor	: 3
physical id	: 1
core id		: 1
)";

TEST(CpuInfo, CountsSocketsCoresAndThreads) {
  const CpuInfo info = ParseCpuInfo(kTwoSocketsWithHyperThreads);
  EXPECT_EQ(info.model, "Intel(R) Xeon(R) Platinum 8480+");
  EXPECT_EQ(info.logical_cores, 4);
  EXPECT_EQ(info.physical_cores, 3);
  EXPECT_EQ(info.sockets, 2);
}

TEST(CpuInfo, AFlagIsAWholeWord) {
  const CpuInfo info = ParseCpuInfo(kTwoSocketsWithHyperThreads);
  EXPECT_TRUE(info.Has("avx2"));
  EXPECT_TRUE(info.Has("avx512_bf16"));
  EXPECT_FALSE(info.Has("avx"));
  EXPECT_FALSE(info.Has("avx512"));
}

TEST(CpuInfo, NothingIsKnownFromAnEmptyText) {
  const CpuInfo info = ParseCpuInfo("");
  EXPECT_EQ(info.logical_cores, 0);
  EXPECT_FALSE(info.Has("avx2"));
}

TEST(MemoryInfo, SizesAreBytes) {
  const MemoryInfo info = ParseMemoryInfo(
      "MemTotal:       24683656 kB\nMemFree:        100 kB\nMemAvailable:   23000000 kB\n"
      "HugePages_Total:       2\nHugetlb:            4096 kB\n");
  EXPECT_EQ(info.total, uint64_t{24683656} * 1024);
  EXPECT_EQ(info.available, uint64_t{23000000} * 1024);
  EXPECT_EQ(info.huge_pages, uint64_t{4096} * 1024);
}

TEST(Bracketed, IsTheChosenWord) {
  EXPECT_EQ(ParseBracketed("always [madvise] never\n"), "madvise");
  EXPECT_EQ(ParseBracketed("always never"), "");
  EXPECT_EQ(ParseBracketed("] ["), "");
}

TEST(CgroupValues, AreCoresAndBytesOrNoLimit) {
  EXPECT_THAT(ParseCpuMax("150000 100000\n"), Optional(1.5));
  EXPECT_THAT(ParseCpuMax("max 100000\n"), Eq(std::nullopt));
  EXPECT_THAT(ParseCpuMax(""), Eq(std::nullopt));
  EXPECT_THAT(ParseCpuMax("100000 0"), Eq(std::nullopt));
  EXPECT_THAT(ParseCfsQuota("200000\n", "100000\n"), Optional(2.0));
  EXPECT_THAT(ParseCfsQuota("-1\n", "100000\n"), Eq(std::nullopt));
  EXPECT_THAT(ParseMemoryLimit("1073741824\n"), Optional(uint64_t{1} << 30));
  EXPECT_THAT(ParseMemoryLimit("max\n"), Eq(std::nullopt));
  EXPECT_THAT(ParseMemoryLimit("9223372036854771712\n"), Eq(std::nullopt));
  EXPECT_THAT(ParseMemoryLimit("99999999999999999999999\n"), Eq(std::nullopt));
}

class CgroupTree : public ::testing::Test {
 protected:
  void SetUp() override { fs::remove_all(mount_); }
  void TearDown() override { fs::remove_all(mount_); }
  void Write(const std::string& name, std::string_view text) {
    fs::create_directories((mount_ / name).parent_path());
    std::ofstream(mount_ / name) << text;
  }
  fs::path mount_ = fs::path(::testing::TempDir()) / "cgroup_tree";
};

TEST_F(CgroupTree, TheTightestLimitOnTheWayUpCounts) {
  Write("job/cpu.max", "400000 100000\n");
  Write("job/memory.max", "8000000\n");
  Write("job/memory.current", "5000000\n");
  Write("job/memory.stat", "anon 3000000\nfile 2000000\ninactive_file 1500000\n");
  Write("job/step/cpu.max", "max 100000\n");
  Write("job/step/memory.max", "9000000\n");
  const CgroupLimits limits = ReadCgroupLimits("0::/job/step\n", mount_);
  EXPECT_THAT(limits.cores, Optional(4.0));
  EXPECT_THAT(limits.memory, Optional(uint64_t{8000000}));
  EXPECT_EQ(limits.memory_used, 3500000u);
}

TEST_F(CgroupTree, InsideAContainerTheMountsOwnFilesCount) {
  Write("cpu.max", "50000 100000\n");
  EXPECT_THAT(ReadCgroupLimits("0::/docker/not-here\n", mount_).cores, Optional(0.5));
  EXPECT_THAT(ReadCgroupLimits("0::/../outside\n", mount_).cores, Optional(0.5));
}

TEST_F(CgroupTree, VersionOneHasAFolderForEachController) {
  Write("cpu/job/cpu.cfs_quota_us", "300000\n");
  Write("cpu/job/cpu.cfs_period_us", "100000\n");
  Write("memory/job/memory.limit_in_bytes", "7000000\n");
  Write("memory/job/memory.usage_in_bytes", "1000000\n");
  Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  const CgroupLimits limits =
      ReadCgroupLimits("4:memory:/job\n2:cpuset:/\n1:cpu,cpuacct:/job\n0::/\n", mount_);
  EXPECT_THAT(limits.cores, Optional(3.0));
  EXPECT_THAT(limits.memory, Optional(uint64_t{7000000}));
  EXPECT_EQ(limits.memory_used, 1000000u);
}

TEST_F(CgroupTree, NoFilesIsNoLimit) {
  const CgroupLimits limits = ReadCgroupLimits("0::/\n", mount_);
  EXPECT_THAT(limits.cores, Eq(std::nullopt));
  EXPECT_THAT(limits.memory, Eq(std::nullopt));
}

}  // namespace
}  // namespace tanren
