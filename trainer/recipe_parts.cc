#include "trainer/recipe_parts.h"

#include <ATen/Context.h>

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "parallel/optimizer/adamw.h"
#include "parallel/optimizer/sgd.h"
#include "runtime/base/error.h"
#include "runtime/kernels/cpu_features.h"
#include "runtime/kernels/device_features.h"
#include "trainer/model/export.h"

namespace tanren::trainer {

ModelPaths ModelPathsOf(const ModelRecipe& recipe) {
  ModelPaths paths;
  paths.path = recipe.path();
  paths.config = recipe.config();
  paths.tokenizer = recipe.tokenizer();
  paths.chat_template = recipe.chat_template();
  return paths;
}

at::ScalarType ComputeTypeOnGpu(TrainingRecipe::Precision precision, int capability) {
  const bool has_bf16 = capability == 0 || capability >= kernels::kFirstWithBf16;
  if (precision == TrainingRecipe::BF16 && !has_bf16) {
    throw Error(absl::InvalidArgumentError(fmt::format(
        "training.precision is bf16, and this GPU (compute capability {}.{}) multiplies none: take "
        "fp16, fp32 or auto",
        capability / 10, capability % 10)));
  }
  if (precision == TrainingRecipe::FP32) return at::kFloat;
  if (precision == TrainingRecipe::FP16) return at::kHalf;
  return has_bf16 ? at::kBFloat16 : at::kHalf;
}

at::ScalarType ComputeTypeOf(TrainingRecipe::Precision precision, at::Device device) {
  if (!device.is_cpu()) return ComputeTypeOnGpu(precision, kernels::ComputeCapability(device));
  switch (precision) {
    case TrainingRecipe::FP32:
      return at::kFloat;
    case TrainingRecipe::BF16:
      return at::kBFloat16;
    case TrainingRecipe::FP16:
      return at::kHalf;
    case TrainingRecipe::AUTO:
      break;
  }
  return kernels::HasFastBf16Products() ? at::kBFloat16 : at::kFloat;
}

parallel::EngineOptions EngineOptionsOf(const Recipe& recipe, at::ScalarType compute_dtype) {
  const ParallelRecipe& parallel = recipe.parallel();
  parallel::EngineOptions options;
  options.zero_stage = parallel.zero_stage();
  options.compute_dtype = compute_dtype;
  options.gradient_dtype =
      parallel.gradient_type() == ParallelRecipe::COMPUTE ? compute_dtype : at::kFloat;
  options.recompute = parallel.recompute() == ParallelRecipe::FULL ? parallel::Recompute::kFull
                                                                   : parallel::Recompute::kNone;
  options.prefetch_depth = parallel.prefetch();
  return options;
}

std::unique_ptr<parallel::Optimizer> MakeOptimizer(const OptimizerRecipe& recipe,
                                                   std::vector<parallel::TrainableShard> shards) {
  if (recipe.kind() == OptimizerRecipe::SGD) {
    parallel::SgdOptions options;
    options.momentum = recipe.momentum();
    options.weight_decay = recipe.weight_decay();
    options.nesterov = recipe.nesterov();
    return std::make_unique<parallel::Sgd>(std::move(shards), options);
  }
  parallel::AdamWOptions options;
  options.beta1 = recipe.beta1();
  options.beta2 = recipe.beta2();
  options.epsilon = recipe.epsilon();
  options.weight_decay = recipe.weight_decay();
  return std::make_unique<parallel::AdamW>(std::move(shards), options);
}

parallel::LearningRateSchedule ScheduleOf(const OptimizerRecipe& recipe, int64_t total_steps) {
  using Kind = parallel::LearningRateSchedule::Kind;
  const auto share = [&](double ratio) {
    return static_cast<int64_t>(std::llround(ratio * static_cast<double>(total_steps)));
  };
  parallel::LearningRateSchedule schedule;
  switch (recipe.schedule()) {
    case OptimizerRecipe::CONSTANT:
      schedule.kind = Kind::kConstant;
      break;
    case OptimizerRecipe::LINEAR:
      schedule.kind = Kind::kLinear;
      break;
    case OptimizerRecipe::COSINE:
      schedule.kind = Kind::kCosine;
      break;
    case OptimizerRecipe::WSD:
      schedule.kind = Kind::kWarmupStableDecay;
      break;
  }
  schedule.peak = recipe.learning_rate();
  schedule.final_ratio = recipe.final_ratio();
  schedule.warmup_steps =
      recipe.warmup_steps() > 0 ? recipe.warmup_steps() : share(recipe.warmup_ratio());
  schedule.total_steps = total_steps;
  schedule.decay_steps = share(recipe.decay_ratio());
  return schedule;
}

parallel::UpdateOptions UpdateOptionsOf(const Recipe& recipe) {
  parallel::UpdateOptions options;
  if (recipe.optimizer().clip_norm() > 0) options.max_norm = recipe.optimizer().clip_norm();
  options.skip_not_finite = recipe.training().not_finite() == TrainingRecipe::SKIP;
  return options;
}

formats::DType ExportDtypeOf(const CheckpointRecipe& recipe) {
  const std::string& name = CheckpointRecipe::ExportType_Name(recipe.export_type());
  return ExportTypeNamed(absl::AsciiStrToLower(name)).dtype;
}

GenerationRequest RequestOf(const GenerationRecipe& recipe) {
  GenerationRequest request;
  request.max_new_tokens = recipe.max_new_tokens();
  request.sampling.temperature = recipe.temperature();
  request.sampling.top_k = recipe.top_k();
  request.sampling.top_p = recipe.top_p();
  request.sampling.min_p = recipe.min_p();
  request.sampling.repetition_penalty = recipe.repetition_penalty();
  request.sampling.seed = recipe.seed();
  request.stop.assign(recipe.stop().begin(), recipe.stop().end());
  return request;
}

}  // namespace tanren::trainer
