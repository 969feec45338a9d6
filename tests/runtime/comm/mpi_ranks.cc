// The contract under real mpirun: every rank runs the same tests. The first argument chooses the
// options: plain, verify, progress, chunks (messages of at most 1 KiB).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "runtime/comm/mpi.h"
#include "tests/runtime/comm/communicator_contract.h"

namespace tanren::comm {
namespace {

Communicator* world = nullptr;
bool verify = false;

class MpiContract : public ::testing::TestWithParam<int> {};

TEST_P(MpiContract, Holds) { ContractCases()[GetParam()].body(*world); }

INSTANTIATE_TEST_SUITE_P(Processes, MpiContract,
                         ::testing::Range(0, static_cast<int>(ContractCases().size())),
                         [](const auto& info) { return ContractCases()[info.param].name; });

TEST(MpiWorld, HasTheSizeThatMpirunGave) {
  EXPECT_EQ(std::to_string(world->size()), std::getenv("OMPI_COMM_WORLD_SIZE"));
  EXPECT_TRUE(StartedByMpi());
}

TEST(MpiWorld, CallsThatDifferAreNamed) {
  if (!verify) GTEST_SKIP() << "only where calls are compared";
  ExpectMismatchIsNamed(*world);
}

}  // namespace
}  // namespace tanren::comm

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  tanren::comm::MpiOptions options;
  const char* kind = argc > 1 ? argv[1] : "plain";
  options.verify = tanren::comm::verify = std::strcmp(kind, "verify") == 0;
  options.progress_thread = std::strcmp(kind, "progress") == 0;
  if (std::strcmp(kind, "chunks") == 0) options.chunk_bytes = 1024;
  tanren::comm::MpiSession session(options);
  const auto world = session.World();
  tanren::comm::world = world.get();
  // One rank's report is enough; failures of others are printed as they happen.
  if (world->rank() != 0) {
    ::testing::TestEventListeners& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    class OnlyFailures : public ::testing::EmptyTestEventListener {
      void OnTestPartResult(const ::testing::TestPartResult& result) override {
        if (result.failed()) std::fprintf(stderr, "%s\n", result.message());
      }
    };
    listeners.Append(new OnlyFailures);
  }
  return RUN_ALL_TESTS();
}
