#include "coordinator/launch/local/numa.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

TEST(Numa, ARankGetsTheCpusOfItsGpusNode) {
  const TemporaryFolder temporary;
  const fs::path& root = temporary.path();
  fs::create_directories(root / "proc/driver/nvidia/gpus/0000:81:00.0");
  fs::create_directories(root / "proc/driver/nvidia/gpus/0000:01:00.0");
  Write(root / "sys/bus/pci/devices/0000:01:00.0/numa_node", "0\n");
  Write(root / "sys/bus/pci/devices/0000:81:00.0/numa_node", "1\n");
  Write(root / "sys/devices/system/node/node0/cpulist", "0-1\n");
  EXPECT_THAT(CpusNearGpu(0, root), IsEmpty()) << "with one node all are as near";
  Write(root / "sys/devices/system/node/node1/cpulist", "2-3,6\n");
  EXPECT_THAT(CpusNearGpu(0, root), ElementsAre(0, 1));
  EXPECT_THAT(CpusNearGpu(1, root), ElementsAre(2, 3, 6));
  EXPECT_THAT(CpusNearGpu(2, root), IsEmpty());
}

TEST(Numa, RanksShareTheirNodesGpusInOrder) {
  EXPECT_EQ(FirstGpuOf({4, 5, 6, 7}, 2, 0), 4);
  EXPECT_EQ(FirstGpuOf({4, 5, 6, 7}, 2, 1), 6);
  EXPECT_EQ(FirstGpuOf({}, 2, 1), -1);
}

}  // namespace
}  // namespace tanren::coordinator
