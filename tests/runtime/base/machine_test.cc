#include "runtime/base/machine.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <array>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using State = Finding::State;

Machine SoundMachine() {
  Machine machine;
  machine.system = "Debian GNU/Linux 12 (bookworm)";
  machine.cpu.model = "A processor";
  machine.cpu.logical_cores = 8;
  machine.cpu.flags = {"amx_bf16", "avx2", "avx512_bf16", "fma"};
  machine.affinity_cores = 8;
  machine.memory = {.total = uint64_t{32} << 30, .available = uint64_t{30} << 30};
  machine.transparent_huge_pages = "madvise";
  machine.mpi = {.mpirun = "/usr/bin/mpirun", .version = "Open MPI 4.1.4"};
  return machine;
}

Finding FindingOf(const Machine& machine, std::string_view subject) {
  for (const Finding& finding : Examine(machine)) {
    if (finding.subject == subject) return finding;
  }
  ADD_FAILURE() << "nothing is said of " << subject;
  return {};
}

TEST(Machine, CoresAreBoundByAffinityAndQuota) {
  Machine machine = SoundMachine();
  EXPECT_EQ(machine.UsableCores(), 8);
  machine.affinity_cores = 4;
  EXPECT_EQ(machine.UsableCores(), 4);
  machine.cgroup.cores = 1.5;
  EXPECT_EQ(machine.UsableCores(), 2);
  machine.cgroup.cores = 0.2;
  EXPECT_EQ(machine.UsableCores(), 1);
}

TEST(Machine, MemoryIsBoundByTheControlGroup) {
  Machine machine = SoundMachine();
  EXPECT_EQ(machine.AvailableMemory(), uint64_t{30} << 30);
  machine.cgroup.memory = uint64_t{8} << 30;
  machine.cgroup.memory_used = uint64_t{3} << 30;
  EXPECT_EQ(machine.AvailableMemory(), uint64_t{5} << 30);
  machine.cgroup.memory_used = uint64_t{9} << 30;
  EXPECT_EQ(machine.AvailableMemory(), 0u);
}

TEST(Examine, ASoundMachineLacksNothing) {
  for (const Finding& finding : Examine(SoundMachine())) {
    EXPECT_EQ(finding.state, State::kOk) << finding.subject << ": " << finding.advice;
  }
}

TEST(Examine, EachLackComesWithWhatToDo) {
  Machine machine = SoundMachine();
  machine.cpu.flags = {"sse4_2"};
  machine.mpi = {};
  machine.memory.available = uint64_t{1} << 30;
  machine.transparent_huge_pages = "never";
  machine.shared_memory = DiskInfo{"/dev/shm", uint64_t{64} << 20, uint64_t{64} << 20};
  machine.disks = {DiskInfo{"/runs", uint64_t{1} << 30, uint64_t{9} << 30}};
  for (const auto& [subject, state] : {std::pair{"instructions", State::kMissing},
                                       {"MPI", State::kMissing},
                                       {"memory", State::kNote},
                                       {"huge pages", State::kNote},
                                       {"shared memory", State::kNote},
                                       {"disk", State::kNote}}) {
    const Finding finding = FindingOf(machine, subject);
    EXPECT_EQ(finding.state, state) << subject;
    EXPECT_NE(finding.advice, "") << subject;
  }
}

TEST(Examine, OlderGpusAreToldWhatTheyLack) {
  Machine machine = SoundMachine();
  machine.gpus.driver_found = true;
  machine.gpus.gpus = {{.name = "Tesla P100", .compute_major = 6, .compute_minor = 0},
                       {.name = "Tesla T4", .compute_major = 7, .compute_minor = 5},
                       {.name = "H100", .compute_major = 9, .compute_minor = 0}};
  EXPECT_EQ(FindingOf(machine, "GPU 0").state, State::kMissing);
  EXPECT_EQ(FindingOf(machine, "GPU 1").state, State::kNote);
  EXPECT_THAT(FindingOf(machine, "GPU 1").advice, HasSubstr("fp16"));
  EXPECT_EQ(FindingOf(machine, "GPU 2").state, State::kOk);
}

TEST(RenderFindings, AlignsTheTableAndCountsWhatIsMissing) {
  const std::array findings = {Finding{State::kOk, "a", "one", ""},
                               Finding{State::kMissing, "long", "two", "do this"}};
  EXPECT_EQ(RenderFindings(findings),
            "ok       a     one\n"
            "MISSING  long  two\n"
            "               -> do this\n"
            "1 missing: see above.\n");
  EXPECT_THAT(RenderFindings(std::span(findings).first(1)), HasSubstr("Nothing is missing."));
}

TEST(ProbeMachine, FindsThisMachine) {
  const std::array<std::filesystem::path, 2> disks = {"/", "/no/such/folder/yet"};
  const Machine machine = ProbeMachine(disks);
  EXPECT_GT(machine.cpu.logical_cores, 0);
  EXPECT_GT(machine.affinity_cores, 0);
  EXPECT_LE(machine.UsableCores(), machine.cpu.logical_cores);
  EXPECT_GT(machine.memory.total, 0u);
  EXPECT_LE(machine.AvailableMemory(), machine.memory.total);
  EXPECT_THAT(machine.disks, ElementsAre(Field(&DiskInfo::total_bytes, Not(0u)),
                                         Field(&DiskInfo::path, std::filesystem::path("/"))));
  EXPECT_NE(machine.glibc, "");
}

TEST(AddressSpaceLeft, IsWhatTheLimitLeavesAndEndlessWithoutOne) {
  EXPECT_EQ(AddressSpaceLeft(), UINT64_MAX);
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  constexpr uint64_t kLimit = uint64_t{1} << 50;  // more than even ThreadSanitizer maps
  const rlimit limit{kLimit, before.rlim_max};
  setrlimit(RLIMIT_AS, &limit);
  const uint64_t left = AddressSpaceLeft();
  constexpr uint64_t kMapped = uint64_t{1} << 30;
  void* mapped = mmap(nullptr, kMapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, /*offset=*/0);
  const uint64_t left_after = AddressSpaceLeft();
  setrlimit(RLIMIT_AS, &before);
  ASSERT_NE(mapped, MAP_FAILED);
  munmap(mapped, kMapped);
  EXPECT_LT(left, kLimit);
  EXPECT_GT(left, kLimit / 4);
  EXPECT_GE(left - left_after, kMapped);
  EXPECT_LT(left - left_after, 2 * kMapped);
}

TEST(NcclVersion, SaysWhyALibraryIsNotNccl) {
  EXPECT_EQ(NcclVersion("/no/such/libnccl.so.2").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(NcclVersion("libc.so.6").status().message()),
              HasSubstr("does not tell NCCL's version"));
}

}  // namespace
}  // namespace tanren
