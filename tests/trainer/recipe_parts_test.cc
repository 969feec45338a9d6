#include "trainer/recipe_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

constexpr int kT4 = 75, kA100 = 80, kH100 = 90, kUnknown = 0;

TEST(ComputeType, AutoIsWhatTheGpuMultipliesFast) {
  EXPECT_EQ(ComputeTypeOnGpu(TrainingRecipe::AUTO, kT4), at::kHalf);
  for (const int capability : {kA100, kH100, kUnknown}) {
    EXPECT_EQ(ComputeTypeOnGpu(TrainingRecipe::AUTO, capability), at::kBFloat16);
  }
}

TEST(ComputeType, WhatIsAskedForIsTakenOnAnyGpu) {
  for (const int capability : {kT4, kH100}) {
    EXPECT_EQ(ComputeTypeOnGpu(TrainingRecipe::FP32, capability), at::kFloat);
    EXPECT_EQ(ComputeTypeOnGpu(TrainingRecipe::FP16, capability), at::kHalf);
  }
  EXPECT_EQ(ComputeTypeOnGpu(TrainingRecipe::BF16, kH100), at::kBFloat16);
}

TEST(ComputeType, Bf16OnAT4IsRefusedWithWhatToTake) {
  try {
    ComputeTypeOnGpu(TrainingRecipe::BF16, kT4);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(error.what(), testing::HasSubstr("(compute capability 7.5) multiplies none: take "
                                                 "fp16, fp32 or auto"));
  }
}

TEST(ExportDtype, EveryTypeOfARecipeHasOne) {
  CheckpointRecipe recipe;
  EXPECT_EQ(ExportDtypeOf(recipe), formats::DType::kBF16);
  const std::vector<std::pair<CheckpointRecipe::ExportType, formats::DType>> expected = {
      {CheckpointRecipe::BF16, formats::DType::kBF16},
      {CheckpointRecipe::FP32, formats::DType::kF32},
      {CheckpointRecipe::FP16, formats::DType::kF16}};
  ASSERT_EQ(static_cast<int>(expected.size()),
            CheckpointRecipe::ExportType_descriptor()->value_count());
  for (const auto& [type, dtype] : expected) {
    recipe.set_export_type(type);
    EXPECT_EQ(ExportDtypeOf(recipe), dtype) << CheckpointRecipe::ExportType_Name(type);
  }
}

}  // namespace
}  // namespace tanren::trainer
