// The nccl backend on real GPUs, a rank on each. Without one these tests are skipped.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "runtime/base/error.h"
#include "runtime/comm/nccl.h"
#include "runtime/comm/reduction.h"
#include "runtime/comm/world.h"
#include "runtime/device/cuda_module.h"
#include "tests/device/staged.h"
#include "tests/runtime/comm/communicator_contract.h"

namespace tanren::comm {
namespace {

// The module comes before anything else asks libtorch for a device.
const device::CudaModule* const kModule = device::LoadedCudaModule();

class OnDevice : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (kModule == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
  }
};

void RunOnDevices(int count, const std::function<void(Communicator&)>& body) {
  NcclId id;
  ASSERT_EQ(NcclOf(*kModule, 0)->MakeId(&id).code, NcclApi::Code::kOk);
  std::vector<std::jthread> ranks;
  for (int rank = 0; rank < count; ++rank) {
    ranks.emplace_back([=, &body] {
      const std::shared_ptr<NcclApi> api = NcclOf(*kModule, rank);
      // Small, so that the larger reductions take several pieces.
      body(*Staged(NcclWorld(api, rank, count, id, {.scratch_bytes = 64 << 10}), api->device()));
    });
  }
}

TEST_P(OnDevice, Contract) {
  const ContractCase& contract = ContractCases()[GetParam()];
  const int devices = std::min(kModule->device_count(), 4);
  // NCCL sums fp32 in an order of its own.
  const bool order_counts = contract.name == "SumsAreTakenInRankOrderInFp32";
  RunOnDevices(order_counts ? 1 : devices, contract.body);
}

INSTANTIATE_TEST_SUITE_P(Nccl, OnDevice,
                         ::testing::Range(0, static_cast<int>(ContractCases().size())),
                         [](const auto& info) { return ContractCases()[info.param].name; });

class OnOneDevice : public OnDevice {};

// One GPU can't be several ranks, but it can reduce what several would have sent.
TEST_P(OnOneDevice, PartsAreReducedAsOnTheCpu) {
  const std::shared_ptr<NcclApi> api = NcclOf(*kModule, 0);
  api->UseDevice();
  constexpr int kParts = 5;
  constexpr int64_t kCount = 20011, kStride = 20500;
  const at::ScalarType dtype = static_cast<at::ScalarType>(GetParam());
  at::manual_seed(1);
  at::Tensor parts = (at::randn({kParts, kStride}) * 100).to(dtype);
  parts[3][17] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor on_device = parts.to(api->device());
  std::vector<const void*> pointers;
  for (int part = 0; part < kParts; ++part) pointers.push_back(parts[part].const_data_ptr());
  for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
    at::Tensor expected = at::empty({kCount}, dtype);
    Reduce(op, dtype, expected.mutable_data_ptr(), pointers, kCount);
    const at::Tensor output = at::empty({kCount}, on_device.options());
    const NcclApi::Result result =
        api->ReduceParts(op, dtype, output.mutable_data_ptr(), on_device.const_data_ptr(), kStride,
                         kParts, kCount, api->CurrentStream());
    ASSERT_EQ(result.code, NcclApi::Code::kOk) << result.message;
    EXPECT_TRUE(at::allclose(output.cpu(), expected, /*rtol=*/0, /*atol=*/0, /*equal_nan=*/true))
        << Name(op);
    EXPECT_TRUE(std::isnan(output[17].item<double>())) << Name(op);
  }
}

INSTANTIATE_TEST_SUITE_P(Nccl, OnOneDevice,
                         ::testing::Values(static_cast<int>(at::kFloat),
                                           static_cast<int>(at::kDouble),
                                           static_cast<int>(at::kBFloat16),
                                           static_cast<int>(at::kHalf)));

TEST(WorldOnDevice, AProcessAloneComputesOnItsGpu) {
  if (kModule == nullptr) GTEST_SKIP() << "no GPU, or no CUDA module";
  World world({});
  EXPECT_EQ(world.device().type(), at::kCUDA);
  const at::Tensor ones = at::ones({5}, at::TensorOptions().device(world.device()));
  world.communicator().AllReduce(ones, ReduceOp::kSum, "unit")->Wait();
  EXPECT_EQ(ones.sum().item<float>(), 5.0f);
  world.Finish();
}

}  // namespace
}  // namespace tanren::comm
