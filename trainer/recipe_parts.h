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
#include "trainer/model/pretrained.h"
#include "trainer/rollout/generator.h"

namespace tanren::trainer {

ModelPaths ModelPathsOf(const ModelRecipe& recipe);

// AUTO is bf16 where `device` multiplies it fast (GPUs, CPUs with AVX512_BF16 or AMX), else fp32.
at::ScalarType ComputeTypeOf(TrainingRecipe::Precision precision, at::Device device);

parallel::EngineOptions EngineOptionsOf(const Recipe& recipe, at::ScalarType compute_dtype);

std::unique_ptr<parallel::Optimizer> MakeOptimizer(const OptimizerRecipe& recipe,
                                                   std::vector<parallel::TrainableShard> shards);

parallel::LearningRateSchedule ScheduleOf(const OptimizerRecipe& recipe, int64_t total_steps);

parallel::UpdateOptions UpdateOptionsOf(const Recipe& recipe);

// Everything but the prompt.
GenerationRequest RequestOf(const GenerationRecipe& recipe);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_RECIPE_PARTS_H_
