#include "runtime/device/cuda_module.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/file.h"

namespace tanren::device {
namespace {

using ::testing::HasSubstr;

// Any library that is there stands for the driver.
constexpr const char* kDriver = "libm.so.6";

absl::Status Failure(const std::filesystem::path& module, const std::string& driver = kDriver) {
  return CudaModule::Load(module, driver).status();
}

TEST(CudaModule, LoadsWhereThereIsADriver) {
  const absl::StatusOr<CudaModule> module = CudaModule::Load(TANREN_FAKE_CUDA_MODULE, kDriver);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ(module->device_count(), 2);
}

TEST(CudaModule, IsNotFoundWithoutADriverOrAFile) {
  EXPECT_TRUE(absl::IsNotFound(Failure(TANREN_FAKE_CUDA_MODULE, "libno-such-driver.so.1")));
  EXPECT_TRUE(absl::IsNotFound(Failure("/no/such/module.so")));
}

TEST(CudaModule, OfAnotherBuildIsRefused) {
  const absl::Status status = Failure(TANREN_OLD_CUDA_MODULE);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("has version 0, this program needs"));
}

TEST(CudaModule, WhatDoesntLoadIsRefusedInTheLinkersWords) {
  const std::filesystem::path text = std::filesystem::path(testing::TempDir()) / "module.so";
  ASSERT_TRUE(WriteFileAtomically(text, "no library").ok());
  const absl::Status status = Failure(text);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("module.so"));
}

}  // namespace
}  // namespace tanren::device
