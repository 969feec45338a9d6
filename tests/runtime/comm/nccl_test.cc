// The nccl backend over a fake of NCCL and CUDA: the whole contract, and what happens when
// something fails. On a GPU the same contract runs in tests/device.
#include "runtime/comm/nccl.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <thread>
#include <tuple>

#include "runtime/base/error.h"
#include "runtime/telemetry/flight_recorder.h"
#include "tests/runtime/comm/communicator_contract.h"
#include "tests/runtime/comm/fake_nccl.h"

namespace tanren::comm {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Code = NcclApi::Code;
using std::chrono::milliseconds;

class NcclContract : public ::testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(NcclContract, Holds) {
  // So small that the larger of the contract's reductions take several pieces.
  const NcclOptions options{.scratch_bytes = 64 << 10};
  const ContractCase& contract = ContractCases()[std::get<1>(GetParam())];
  RunFakeNcclRanks(std::get<0>(GetParam()), options,
                   [&](Communicator& world, FakeNccl&) { contract.body(world); });
}

INSTANTIATE_TEST_SUITE_P(
    Fake, NcclContract,
    ::testing::Combine(::testing::Values(1, 2, 3),
                       ::testing::Range(0, static_cast<int>(ContractCases().size()))),
    [](const auto& info) {
      return ContractCases()[std::get<1>(info.param)].name + "On" +
             std::to_string(std::get<0>(info.param));
    });

absl::Status FailureOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.status();
  }
  return absl::OkStatus();
}

std::string Message(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

TEST(Nccl, TheDeviceWaitsForTheCallerAndTheCallerForTheDevice) {
  RunFakeNcclRanks(1, {}, [](Communicator& world, FakeNccl& api) {
    const size_t before = api.Calls().size();
    at::Tensor output = at::zeros({4});
    world.AllGather(output, at::ones({4}), "unit")->Wait();
    std::vector<std::string> calls = api.Calls();
    calls.erase(calls.begin(), calls.begin() + static_cast<ptrdiff_t>(before));
    EXPECT_THAT(calls, ElementsAre("record the current stream", "ours waits", "all-gather",
                                   "record ours", "the current stream waits"));
  });
}

TEST(Nccl, SumsOfHalvesAreNcclsOnlyWhereThatWasChosen) {
  for (const bool by_nccl : {false, true}) {
    RunFakeNcclRanks(2, {.sum_half_by_nccl = by_nccl}, [&](Communicator& world, FakeNccl& api) {
      at::Tensor output = at::zeros({4}, at::kBFloat16);
      const at::Tensor input = at::ones({8}, at::kBFloat16);
      world.ReduceScatter(output, input, ReduceOp::kSum, "unit")->Wait();
      world.Barrier("unit");
      const std::vector<std::string> calls = api.Calls();
      EXPECT_EQ(std::count(calls.begin(), calls.end(), "reduce parts"), by_nccl ? 0 : 1);
      EXPECT_EQ(std::count(calls.begin(), calls.end(), "reduce-scatter"), by_nccl ? 1 : 0);
      EXPECT_EQ(output.sum().item<float>(), 8.0f);
    });
  }
}

int64_t CountOf(const FakeNccl& api, const std::string& call) {
  const std::vector<std::string> calls = api.Calls();
  return std::count(calls.begin(), calls.end(), call);
}

TEST(Nccl, ABufferIsRegisteredOnceAndGoesFromUserToUser) {
  std::shared_ptr<FakeNccl> kept;
  const auto make = [&](int rank, std::shared_ptr<FakeNetwork> network) {
    auto api = std::make_shared<FakeNccl>(std::move(network));
    if (rank == 0) kept = api;
    return api;
  };
  RunFakeNcclRanks(2, {}, make, [&](Communicator& world, FakeNccl& api) {
    c10::DataPtr first = world.TakeBuffer(4096), second = world.TakeBuffer(4096);
    EXPECT_NE(first.get(), second.get());
    EXPECT_EQ(CountOf(api, "register"), 2);
    const void* place = first.get();
    first.clear();
    first = world.TakeBuffer(4000);
    EXPECT_EQ(first.get(), place) << "what fits is taken again";
    first.clear();
    first = world.TakeBuffer(2000);
    EXPECT_NE(first.get(), place) << "half of it would be wasted";
    EXPECT_EQ(CountOf(api, "register"), 3);
    EXPECT_EQ(CountOf(api, "deregister"), 0);
  });
  EXPECT_EQ(CountOf(*kept, "deregister"), 3) << "at the group's end";
  EXPECT_EQ(CountOf(*kept, "free memory"), 3);
}

TEST(Nccl, ABufferThatComesBackAfterTheGroupsEndIsFreedThen) {
  c10::DataPtr late;
  const auto make = [&](int, std::shared_ptr<FakeNetwork> network) {
    return std::make_shared<FakeNccl>(std::move(network));
  };
  RunFakeNcclRanks(2, {}, make, [&](Communicator& world, FakeNccl&) {
    if (world.rank() == 0) late = world.TakeBuffer(64);
  });
  std::memset(late.mutable_get(), 0, 64);
  late.clear();
}

TEST(Nccl, WhereNothingCanBeRegisteredOrdinaryMemoryServes) {
  for (const std::string call : {"allocate", "register"}) {
    RunFakeNcclRanks(2, {}, [&](Communicator& world, FakeNccl& api) {
      api.AnswerNext(call, {Code::kFailed, "the driver has no such thing"});
      for (int i = 0; i < 2; ++i) {
        c10::DataPtr buffer = world.TakeBuffer(64);
        std::memset(buffer.mutable_get(), 0, 64);
      }
      EXPECT_EQ(CountOf(api, "allocate"), 1) << "it isn't tried again";
      EXPECT_EQ(CountOf(api, "free memory"), call == "register" ? 1 : 0);
      world.Barrier("the group is in order");
    });
  }
}

TEST(Nccl, AGroupOfOneRegistersNothing) {
  RunFakeNcclRanks(1, {}, [](Communicator& world, FakeNccl& api) {
    const c10::DataPtr buffer = world.TakeBuffer(64);
    EXPECT_EQ(CountOf(api, "allocate"), 0);
  });
}

TEST(Nccl, ACallThatFailsIsNamedAndEndsTheGroups) {
  RunFakeNcclRanks(1, {}, [](Communicator& world, FakeNccl& api) {
    const std::unique_ptr<Communicator> part = world.Split(0, 0, "shard");
    at::Tensor output = at::zeros({4});
    api.AnswerNext("all-gather", {Code::kFailed, "unhandled system error"});
    const absl::Status failure =
        FailureOf([&] { (void)part->AllGather(output, at::ones({4}), "model.layers.3"); });
    EXPECT_EQ(failure.code(), absl::StatusCode::kInternal);
    EXPECT_EQ(Message(failure),
              "all-gather #1 of 'model.layers.3' in group 'world/shard.0': unhandled system error");
    const std::vector<std::string> calls = api.Calls();
    EXPECT_EQ(std::count(calls.begin(), calls.end(), "abort"), 2);
    const absl::Status later = FailureOf([&] { world.Barrier("later"); });
    EXPECT_EQ(later.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(Message(later), HasSubstr("unhandled system error"));
  });
}

TEST(Nccl, AFailureWhileACallRunsIsGivenToWhoeverWaitsForIt) {
  RunFakeNcclRanks(1, {}, [](Communicator& world, FakeNccl& api) {
    api.Hold(true);
    at::Tensor output = at::zeros({4});
    auto first = world.AllGather(output, at::ones({4}), "model.layers.3");
    auto second = world.AllGather(output, at::ones({4}), "model.layers.4");
    api.Break({Code::kFailed, "internal error"});
    // Until the watcher has seen it, calls are still taken.
    absl::Status later;
    while (later.ok()) {
      later = FailureOf([&] { (void)world.AllReduce(output, ReduceOp::kSum, "later"); });
    }
    EXPECT_EQ(later.code(), absl::StatusCode::kAborted);
    const absl::Status failure = FailureOf([&] { first->Wait(); });
    EXPECT_EQ(failure.code(), absl::StatusCode::kInternal);
    EXPECT_EQ(Message(failure),
              "all-gather #1 of 'model.layers.3' in group 'world': internal error");
    EXPECT_EQ(FailureOf([&] { second->Wait(); }).code(), absl::StatusCode::kAborted);
    api.Hold(false);
  });
}

TEST(Nccl, AnotherRanksFailureIsAnEchoNotACause) {
  RunFakeNcclRanks(1, {}, [](Communicator& world, FakeNccl& api) {
    at::Tensor tensor = at::zeros({4});
    api.AnswerNext("all-reduce", {Code::kPeerFailed, "remote process exited"});
    const absl::Status failure =
        FailureOf([&] { (void)world.AllReduce(tensor, ReduceOp::kSum, "unit"); });
    EXPECT_EQ(failure.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(Message(failure), HasSubstr("remote process exited"));
  });
}

TEST(Nccl, ARankThatNobodyJoinsGivesUp) {
  const auto api = std::make_shared<FakeNccl>(std::make_shared<FakeNetwork>());
  NcclId id;
  api->MakeId(&id);
  const absl::Status failure =
      FailureOf([&] { NcclWorld(api, 0, 2, id, {.join_timeout = milliseconds(20)}); });
  EXPECT_EQ(failure.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(Message(failure), HasSubstr("joining group 'world' as rank 0 of 2 has not been "
                                          "started within 0.02 s"));
  EXPECT_THAT(api->Calls(), Contains("abort"));
}

TEST(Nccl, AGroupInOrderIsFinalizedAndFreedNotAborted) {
  const auto api = std::make_shared<FakeNccl>(std::make_shared<FakeNetwork>());
  NcclId id;
  api->MakeId(&id);
  {
    const auto world = NcclWorld(api, 0, 1, id, {});
    at::Tensor tensor = at::zeros({4});
    (void)world->AllReduce(tensor, ReduceOp::kSum, "unit");
  }
  EXPECT_THAT(api->Calls(), Not(Contains("abort")));
  EXPECT_EQ(api->Calls().back(), "free");
}

TEST(Nccl, AnAbortReleasesTheOtherRanks) {
  std::atomic<int> released = 0;
  RunFakeNcclRanks(3, {}, [&](Communicator& world, FakeNccl&) {
    world.Barrier("start");
    if (world.rank() == 0) return world.Abort("rank 0 gives up");
    const absl::Status failure = FailureOf([&] {
      while (true) world.Barrier("unit");
    });
    EXPECT_EQ(failure.code(), absl::StatusCode::kAborted);
    ++released;
  });
  EXPECT_EQ(released, 2);
}

TEST(Nccl, CallsAreRecordedAsDoneWhenTheDeviceIsDone) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "nccl_flight_records";
  std::filesystem::remove_all(folder);
  const auto recorder = *telemetry::FlightRecorder::Create({.folder = folder, .launch = "test"});
  RunFakeNcclRanks(1, {}, [&](Communicator& world, FakeNccl& api) {
    world.set_flight_recorder(recorder.get());
    const auto latest = [&] {
      return telemetry::ReadFlightRecord(telemetry::FlightRecordPath(folder, 0))->calls.back();
    };
    api.Hold(true);
    at::Tensor tensor = at::zeros({4});
    auto work = world.AllReduce(tensor, ReduceOp::kSum, "unit");
    EXPECT_EQ(latest().state, telemetry::CallState::kEntered);
    api.Hold(false);
    // Nobody waits for the work, and it ends all the same.
    while (latest().state == telemetry::CallState::kEntered) std::this_thread::yield();
    EXPECT_EQ(latest().state, telemetry::CallState::kDone);
    world.Barrier("unit");
    EXPECT_EQ(latest().collective, "barrier");
    EXPECT_EQ(latest().state, telemetry::CallState::kDone);
    world.set_flight_recorder(nullptr);
  });
}

}  // namespace
}  // namespace tanren::comm
