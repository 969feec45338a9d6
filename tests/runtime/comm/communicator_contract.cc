#include "tests/runtime/comm/communicator_contract.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <utility>

#include "runtime/base/error.h"

namespace tanren::comm {
namespace {

using ::testing::HasSubstr;

const std::vector<at::ScalarType> kTypes = {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf,
                                            at::kInt,   at::kLong,   at::kByte};
// Elements of one rank's part: none, one, odd, more than a block of the reduction, several chunks.
const std::vector<int64_t> kCounts = {0, 1, 7, 1031, 20011};

// Small integers, which each dtype holds exactly, and their sums over eight ranks too.
int64_t Value(int rank, int64_t i) { return (rank * 5 + i * 3 + i / 7) % 13; }

at::Tensor Fill(int64_t count, at::ScalarType dtype, const std::function<int64_t(int64_t)>& value) {
  at::Tensor tensor = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i) tensor.mutable_data_ptr<int64_t>()[i] = value(i);
  return tensor.to(dtype);
}

at::Tensor Input(int rank, int64_t count, at::ScalarType dtype) {
  return Fill(count, dtype, [&](int64_t i) { return Value(rank, i); });
}

int64_t Reduced(ReduceOp op, int size, int64_t i) {
  int64_t result = Value(0, i);
  for (int rank = 1; rank < size; ++rank) {
    const int64_t value = Value(rank, i);
    if (op == ReduceOp::kSum) result += value;
    if (op == ReduceOp::kMax) result = std::max(result, value);
    if (op == ReduceOp::kMin) result = std::min(result, value);
  }
  return result;
}

// Bitwise, so that -0 and NaN count too.
bool Same(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.nbytes() == b.nbytes() &&
         (a.nbytes() == 0 || std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0);
}

void ForEachTypeAndCount(const std::function<void(at::ScalarType, int64_t)>& body) {
  for (const at::ScalarType dtype : kTypes) {
    for (const int64_t count : kCounts) {
      SCOPED_TRACE(fmt::format("{} × {}", count, c10::toString(dtype)));
      body(dtype, count);
    }
  }
}

void AllGatherBringsEachPartByRank(Communicator& group) {
  ForEachTypeAndCount([&](at::ScalarType dtype, int64_t count) {
    at::Tensor output = at::zeros({count * group.size()}, dtype);
    group.AllGather(output, Input(group.rank(), count, dtype), "unit")->Wait();
    for (int rank = 0; rank < group.size(); ++rank) {
      EXPECT_TRUE(Same(output.narrow(0, rank * count, count), Input(rank, count, dtype)));
    }
  });
}

void AllGatherWorksInPlace(Communicator& group) {
  for (const int64_t count : kCounts) {
    at::Tensor output = at::zeros({count * group.size()}, at::kFloat);
    at::Tensor slot = output.narrow(0, group.rank() * count, count);
    slot.copy_(Input(group.rank(), count, at::kFloat));
    group.AllGather(output, slot, "unit")->Wait();
    for (int rank = 0; rank < group.size(); ++rank) {
      EXPECT_TRUE(Same(output.narrow(0, rank * count, count), Input(rank, count, at::kFloat)));
    }
  }
}

void ReduceScatterGivesEachRankItsPart(Communicator& group) {
  ForEachTypeAndCount([&](at::ScalarType dtype, int64_t count) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
      const at::Tensor input = Input(group.rank(), count * group.size(), dtype);
      at::Tensor output = at::zeros({count}, dtype);
      group.ReduceScatter(output, input, op, "unit")->Wait();
      EXPECT_TRUE(Same(output, Fill(count, dtype,
                                    [&](int64_t i) {
                                      return Reduced(op, group.size(), group.rank() * count + i);
                                    })))
          << Name(op);
      EXPECT_TRUE(Same(input, Input(group.rank(), count * group.size(), dtype)));
    }
  });
}

void ReduceScatterWorksInPlace(Communicator& group) {
  for (const int64_t count : kCounts) {
    const at::Tensor input = Input(group.rank(), count * group.size(), at::kFloat);
    const at::Tensor slot = input.narrow(0, group.rank() * count, count);
    group.ReduceScatter(slot, input, ReduceOp::kSum, "unit")->Wait();
    EXPECT_TRUE(Same(slot, Fill(count, at::kFloat, [&](int64_t i) {
                       return Reduced(ReduceOp::kSum, group.size(), group.rank() * count + i);
                     })));
  }
}

void AllReduceGivesAllTheSame(Communicator& group) {
  ForEachTypeAndCount([&](at::ScalarType dtype, int64_t count) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
      const at::Tensor tensor = Input(group.rank(), count, dtype);
      group.AllReduce(tensor, op, "unit")->Wait();
      EXPECT_TRUE(
          Same(tensor, Fill(count, dtype, [&](int64_t i) { return Reduced(op, group.size(), i); })))
          << Name(op);
    }
  });
}

// Values of very different size, the same on every rank that asks.
at::Tensor Rough(int rank, int64_t count, at::ScalarType dtype) {
  at::Tensor tensor = at::empty({count}, at::kFloat);
  uint32_t state = 12345u + 977u * static_cast<uint32_t>(rank);
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    const float unit = static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
    tensor.mutable_data_ptr<float>()[i] = std::ldexp(unit, static_cast<int>(state % 17) - 8);
  }
  return tensor.to(dtype);
}

// The sum in rank order in fp32, rounded once to the storage type.
at::Tensor OrderedSum(int size, int64_t count, at::ScalarType dtype) {
  at::Tensor sum = Rough(0, count, dtype).to(at::kFloat);
  for (int rank = 1; rank < size; ++rank) sum = sum + Rough(rank, count, dtype).to(at::kFloat);
  return sum.to(dtype);
}

void SumsAreTakenInRankOrderInFp32(Communicator& group) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    // Small enough for one round trip, and large enough for the two-phase algorithm.
    for (const int64_t part : {33, 20011}) {
      SCOPED_TRACE(fmt::format("{} × {}", part, c10::toString(dtype)));
      const int64_t count = part * group.size();
      const at::Tensor expected = OrderedSum(group.size(), count, dtype);
      const at::Tensor all = Rough(group.rank(), count, dtype);
      at::Tensor output = at::zeros({part}, dtype);
      group.ReduceScatter(output, all, ReduceOp::kSum, "unit")->Wait();
      EXPECT_TRUE(Same(output, expected.narrow(0, group.rank() * part, part)));
      group.AllReduce(all, ReduceOp::kSum, "unit")->Wait();
      EXPECT_TRUE(Same(all, expected));
    }
  }
}

void MaximumOfNaNIsNaN(Communicator& group) {
  const int last = group.size() - 1;
  const at::Tensor tensor = at::full({3}, 1.0, at::kFloat);
  if (group.rank() == last) tensor[1] = std::numeric_limits<float>::quiet_NaN();
  group.AllReduce(tensor, ReduceOp::kMax, "unit")->Wait();
  EXPECT_EQ(tensor[0].item<float>(), 1.0f);
  EXPECT_TRUE(std::isnan(tensor[1].item<float>()));
}

void BroadcastGivesRootsToAll(Communicator& group) {
  ForEachTypeAndCount([&](at::ScalarType dtype, int64_t count) {
    for (int root = 0; root < group.size(); ++root) {
      const at::Tensor tensor = Input(group.rank(), count, dtype);
      group.Broadcast(tensor, root, "unit")->Wait();
      EXPECT_TRUE(Same(tensor, Input(root, count, dtype)));
    }
  });
}

void AllToAllTransposes(Communicator& group) {
  ForEachTypeAndCount([&](at::ScalarType dtype, int64_t count) {
    const int64_t total = count * group.size();
    at::Tensor output = at::zeros({total}, dtype);
    group.AllToAll(output, Input(group.rank(), total, dtype), "unit")->Wait();
    for (int rank = 0; rank < group.size(); ++rank) {
      EXPECT_TRUE(Same(output.narrow(0, rank * count, count),
                       Input(rank, total, dtype).narrow(0, group.rank() * count, count)));
    }
  });
}

void RanksMaySendToEachOtherAtOnce(Communicator& group) {
  if (group.size() == 1) return;
  const int next = (group.rank() + 1) % group.size();
  const int previous = (group.rank() + group.size() - 1) % group.size();
  ForEachTypeAndCount([&](at::ScalarType dtype, int64_t count) {
    const at::Tensor first = Input(group.rank(), count, dtype);
    const at::Tensor second = Input(group.rank() + 1, count + 2, dtype);
    at::Tensor got_first = at::zeros({count}, dtype);
    at::Tensor got_second = at::zeros({count + 2}, dtype);
    std::vector<std::unique_ptr<Work>> works;
    works.push_back(group.Send(first, next, "unit"));
    works.push_back(group.Send(second, next, "unit"));
    works.push_back(group.Receive(got_first, previous, "unit"));
    works.push_back(group.Receive(got_second, previous, "unit"));
    for (const std::unique_ptr<Work>& work : works) work->Wait();
    works[2]->Wait();
    EXPECT_TRUE(Same(got_first, Input(previous, count, dtype)));
    EXPECT_TRUE(Same(got_second, Input(previous + 1, count + 2, dtype)));
  });
}

void SplitGroupsByColorInOrderOfKey(Communicator& group) {
  const int color = group.rank() % 2;
  // The keys turn the order round.
  const std::unique_ptr<Communicator> part = group.Split(color, -group.rank(), "half");
  const int members = (group.size() + (color == 0 ? 1 : 0)) / 2;
  ASSERT_EQ(part->size(), members);
  EXPECT_EQ(part->rank(), members - 1 - group.rank() / 2);
  EXPECT_EQ(part->name(), fmt::format("{}/half.{}", group.name(), color));
  at::Tensor ranks = at::zeros({members}, at::kLong);
  part->AllGather(ranks, at::full({1}, group.rank(), at::kLong), "unit")->Wait();
  for (int i = 0; i < members; ++i) {
    EXPECT_EQ(ranks[i].item<int64_t>(), color + 2 * (members - 1 - i));
  }
  // Both groups go on to work, in any order.
  const at::Tensor one = at::ones({1}, at::kLong);
  group.AllReduce(one, ReduceOp::kSum, "unit")->Wait();
  EXPECT_EQ(one.item<int64_t>(), group.size());
  part->Barrier("unit");
  const std::unique_ptr<Communicator> alone = part->Split(part->rank(), 0);
  EXPECT_EQ(alone->size(), 1);
  const at::Tensor mine = Input(3, 5, at::kFloat);
  alone->AllReduce(mine, ReduceOp::kSum, "unit")->Wait();
  EXPECT_TRUE(Same(mine, Input(3, 5, at::kFloat)));
}

void WorksMayBeWaitedForLater(Communicator& group) {
  const at::Tensor a = at::full({5000}, group.rank() + 1.0, at::kFloat);
  at::Tensor b = at::zeros({group.size()}, at::kLong);
  auto first = group.AllReduce(a, ReduceOp::kMax, "unit");
  auto second = group.AllGather(b, at::full({1}, group.rank(), at::kLong), "unit");
  // One that nobody waits for ends all the same.
  at::Tensor c = at::full({3}, group.rank(), at::kInt);
  (void)group.Broadcast(c, 0, "unit");
  second->Wait();
  first->Wait();
  first->Wait();
  group.Barrier("unit");
  EXPECT_EQ(a.min().item<float>(), group.size());
  EXPECT_EQ(b[group.size() - 1].item<int64_t>(), group.size() - 1);
}

template <typename Call>
void ExpectInvalid(const Call& call, std::string_view part) {
  try {
    call();
    ADD_FAILURE() << "expected an error with " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.status().code(), absl::StatusCode::kInvalidArgument) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(std::string(part)));
    EXPECT_THAT(error.what(), HasSubstr("'layer.1'"));
  }
}

void BadArgumentsAreRefusedBeforeAnythingIsSent(Communicator& group) {
  const int size = group.size();
  const auto f = [](int64_t n) { return at::zeros({n}, at::kFloat); };
  ExpectInvalid([&] { (void)group.AllGather(f(3 * size + 1), f(3), "layer.1"); }, "elements");
  ExpectInvalid([&] { (void)group.AllGather(f(size), at::zeros({1}, at::kHalf), "layer.1"); },
                "Half");
  ExpectInvalid(
      [&] { (void)group.ReduceScatter(f(2), f(2 * size + 1), ReduceOp::kSum, "layer.1"); },
      "elements");
  ExpectInvalid(
      [&] {
        (void)group.AllReduce(f(6).view({2, 3}).t(), ReduceOp::kSum, "layer.1");
      },
      "contiguous");
  ExpectInvalid(
      [&] { (void)group.AllReduce(at::zeros({2}, at::kComplexFloat), ReduceOp::kSum, "layer.1"); },
      "ComplexFloat");
  ExpectInvalid([&] { (void)group.AllReduce(at::Tensor(), ReduceOp::kSum, "layer.1"); },
                "undefined");
  ExpectInvalid([&] { (void)group.Broadcast(f(1), size, "layer.1"); }, "no rank");
  ExpectInvalid([&] { (void)group.AllToAll(f(size), f(2 * size), "layer.1"); }, "elements");
  const at::Tensor same = f(size);
  ExpectInvalid([&] { (void)group.AllToAll(same, same, "layer.1"); }, "overlap");
  ExpectInvalid([&] { (void)group.Send(f(1), group.rank(), "layer.1"); }, "itself");
  ExpectInvalid([&] { (void)group.Receive(f(1), -1, "layer.1"); }, "no rank");
  // The group is as good as before.
  const at::Tensor one = at::ones({1}, at::kLong);
  group.AllReduce(one, ReduceOp::kSum, "unit")->Wait();
  EXPECT_EQ(one.item<int64_t>(), size);
}

}  // namespace

const std::vector<ContractCase>& ContractCases() {
  static const auto* cases = new std::vector<ContractCase>{
#define TANREN_CASE(name) {#name, name}
      TANREN_CASE(AllGatherBringsEachPartByRank),
      TANREN_CASE(AllGatherWorksInPlace),
      TANREN_CASE(ReduceScatterGivesEachRankItsPart),
      TANREN_CASE(ReduceScatterWorksInPlace),
      TANREN_CASE(AllReduceGivesAllTheSame),
      TANREN_CASE(SumsAreTakenInRankOrderInFp32),
      TANREN_CASE(MaximumOfNaNIsNaN),
      TANREN_CASE(BroadcastGivesRootsToAll),
      TANREN_CASE(AllToAllTransposes),
      TANREN_CASE(RanksMaySendToEachOtherAtOnce),
      TANREN_CASE(SplitGroupsByColorInOrderOfKey),
      TANREN_CASE(WorksMayBeWaitedForLater),
      TANREN_CASE(BadArgumentsAreRefusedBeforeAnythingIsSent),
#undef TANREN_CASE
  };
  return *cases;
}

void ExpectMismatchIsNamed(Communicator& group) {
  const bool odd = group.rank() == group.size() - 1;
  const at::Tensor tensor = at::zeros({odd ? 6 : 4}, at::kFloat);
  try {
    group.AllReduce(tensor, odd ? ReduceOp::kMax : ReduceOp::kSum, "layer.2")->Wait();
    ADD_FAILURE() << "ranks called different things and none noticed";
  } catch (const Error& error) {
    EXPECT_EQ(error.status().code(), absl::StatusCode::kInternal);
    for (const char* part : {"ranks disagree", "rank 0 calls all-reduce", "'layer.2'",
                             "16 bytes, sum", "24 bytes, max"}) {
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("rank {} calls", group.size() - 1)));
  }
}

}  // namespace tanren::comm
