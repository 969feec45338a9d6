#include "runtime/comm/local.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <tuple>

#include "runtime/base/error.h"
#include "tests/runtime/comm/communicator_contract.h"

namespace tanren::comm {
namespace {

using ::testing::HasSubstr;

class LocalContract : public ::testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(LocalContract, Holds) {
  RunRanks(std::get<0>(GetParam()), ContractCases()[std::get<1>(GetParam())].body);
}

INSTANTIATE_TEST_SUITE_P(
    Threads, LocalContract,
    ::testing::Combine(::testing::Values(1, 2, 3, 4),
                       ::testing::Range(0, static_cast<int>(ContractCases().size()))),
    [](const auto& info) {
      return ContractCases()[std::get<1>(info.param)].name + "On" +
             std::to_string(std::get<0>(info.param));
    });

TEST(SingleRank, KeepsTheContract) {
  for (const ContractCase& contract : ContractCases()) {
    SCOPED_TRACE(contract.name);
    contract.body(*SingleRank());
  }
  EXPECT_EQ(SingleRank("other")->name(), "other");
}

TEST(RunRanks, CallsThatDifferAreNamed) {
  RunRanks(3, [](Communicator& world) { ExpectMismatchIsNamed(world); });
}

TEST(RunRanks, TheFirstFailureEndsAllAndIsRethrown) {
  std::atomic<int> aborted = 0;
  try {
    RunRanks(4, [&](Communicator& world) {
      world.Barrier("start");
      if (world.rank() == 2) throw std::runtime_error("rank 2 has had enough");
      try {
        world.Barrier("model.layers.3");
      } catch (const Error& error) {
        EXPECT_EQ(error.status().code(), absl::StatusCode::kAborted);
        EXPECT_THAT(error.what(), HasSubstr("rank 2 has had enough"));
        ++aborted;
        // And it stays so.
        EXPECT_THROW(world.Barrier("again"), Error);
        throw;
      }
    });
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "rank 2 has had enough");
  }
  EXPECT_EQ(aborted, 3);
}

TEST(RunRanks, AnAbortReleasesThoseWhoWaitInASplitGroupOrForAMessage) {
  std::atomic<int> released = 0;
  RunRanks(3, [&](Communicator& world) {
    const std::unique_ptr<Communicator> part = world.Split(world.rank() == 0 ? 0 : 1, 0);
    if (world.rank() == 0) return world.Abort("rank 0 gives up");
    at::Tensor tensor = at::zeros({1});
    try {
      // Rank 2 waits for a message that nobody sends, rank 1 for rank 2 in their group of two.
      if (world.rank() == 2) (void)world.Receive(tensor, 0, "unit");
      part->Barrier("unit");
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "rank 0 gives up");
      ++released;
    }
  });
  EXPECT_EQ(released, 2);
}

TEST(RunRanks, AMessageOfAnotherSizeIsAnError) {
  EXPECT_THROW(RunRanks(2,
                        [](Communicator& world) {
                          if (world.rank() == 0) {
                            world.Send(at::zeros({3}), 1, "unit")->Wait();
                          } else {
                            at::Tensor tensor = at::zeros({4});
                            world.Receive(tensor, 0, "unit")->Wait();
                          }
                        }),
               Error);
}

}  // namespace
}  // namespace tanren::comm
