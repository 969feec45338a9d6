// A recipe's messages as the options of the parts that they are for.
#ifndef TANREN_TRAINER_RECIPE_PARTS_H_
#define TANREN_TRAINER_RECIPE_PARTS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "parallel/engine/engine.h"
#include "parallel/optimizer/optimizer.h"
#include "parallel/optimizer/schedule.h"
#include "parallel/optimizer/update.h"
#include "proto/recipe.pb.h"
#include "runtime/formats/dtype.h"
#include "trainer/model/pretrained.h"
#include "trainer/rollout/generator.h"

namespace tanren::trainer {

ModelPaths ModelPathsOf(const ModelRecipe& recipe);

// AUTO is bf16 where `device` multiplies it fast (CPUs with AVX512_BF16 or AMX, GPUs since compute
// capability 8.0), else fp32 on a CPU and fp16 on a GPU. Throws Error(kInvalidArgument) for BF16 on
// a GPU that has no products in it.
at::ScalarType ComputeTypeOf(TrainingRecipe::Precision precision, at::Device device);
// For a GPU of this kernels::ComputeCapability; 0: not known.
at::ScalarType ComputeTypeOnGpu(TrainingRecipe::Precision precision, int capability);

parallel::EngineOptions EngineOptionsOf(const Recipe& recipe, at::ScalarType compute_dtype);

std::unique_ptr<parallel::Optimizer> MakeOptimizer(const OptimizerRecipe& recipe,
                                                   std::vector<parallel::TrainableShard> shards);

parallel::LearningRateSchedule ScheduleOf(const OptimizerRecipe& recipe, int64_t total_steps);

parallel::UpdateOptions UpdateOptionsOf(const Recipe& recipe);

// What the exported model's weights are written as.
formats::DType ExportDtypeOf(const CheckpointRecipe& recipe);

// Everything but the prompt.
GenerationRequest RequestOf(const GenerationRecipe& recipe);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_RECIPE_PARTS_H_
