// Groups on an ordinary folder: what is written where. (The kernel's own aren't always to be had.)
#include "coordinator/launch/local/cgroup.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

std::string TextOf(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Cgroup, LimitsAreWhatThePartWasGiven) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.path();
  const fs::path part = folder / "part-1.2.3";
  fs::create_directory(part);
  for (const char* name : {"cpu.max", "memory.max", "cgroup.procs"})
    std::ofstream(part / name) << "";
  Resources limits;
  limits.set_cpu_millis(2'500);
  limits.set_memory_bytes(1'000'000);
  const auto made = MakeCgroup(folder, "part-1.2.3", limits);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(EnterCgroup(*made, 77).ok());
  EXPECT_EQ(TextOf(part / "cpu.max"), "250000 100000");
  EXPECT_EQ(TextOf(part / "memory.max"), "1000000");
  EXPECT_EQ(TextOf(part / "cgroup.procs"), "77");
  EXPECT_FALSE(MakeCgroup(folder, "other", limits).ok()) << "a limit that can't be set is told";
}

}  // namespace
}  // namespace tanren::coordinator
