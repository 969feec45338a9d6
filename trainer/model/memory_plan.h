// What a training takes on each rank, from a model's configuration alone: nothing of that size is
// allocated, and no weights are read.
#ifndef TANREN_TRAINER_MODEL_MEMORY_PLAN_H_
#define TANREN_TRAINER_MODEL_MEMORY_PLAN_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "parallel/engine/step_memory.h"
#include "runtime/formats/model_config.h"
#include "trainer/model/model.h"

namespace tanren::trainer {

struct MemoryPlanOptions {
  parallel::EngineOptions engine;
  int world_size = 1;
  int64_t tokens = 0;         // of a micro-batch of one rank, at most
  int64_t micro_batches = 1;  // of a step, on one rank
  int moments = 2;            // fp32 numbers that the optimizer keeps for each parameter
  // Answers of sample questions that are generated together, and how long they get; 0: none are.
  int64_t sampled_sequences = 0;
  int64_t sampled_tokens = 0;
};

// Bytes of one rank, by what they are for.
struct MemoryPlan {
  parallel::StepMemory step;
  int64_t optimizer = 0;
  // Freed memory that the allocator can't use again, since smaller pieces came to lie in it. An
  // estimate.
  int64_t fragments = 0;
  int64_t program = 0;  // libtorch, tokenizer and what else is there before the model. An estimate.
  // What takes the place of a step's passing memory where sample questions are asked; counted in
  // Total() only where it is more.
  int64_t sampling = 0;

  // By name, in the order of a table.
  std::vector<std::pair<std::string, int64_t>> Kinds() const;
  int64_t Total() const;
};

// Of a model whose units are those of BuildLlama, with the kernels of runtime/kernels that run on
// CPUs in fp32 and bf16. Other precisions and devices keep a little more.
MemoryPlan PlanMemory(const formats::ModelConfig& config, const Model& model,
                      const MemoryPlanOptions& options);

// The units' and the head's parts of it, exact.
std::vector<parallel::VisitMemory> VisitsOf(const formats::ModelConfig& config, const Model& model,
                                            int64_t tokens, const parallel::EngineOptions& engine);

// Bytes on disk of one checkpoint of all ranks: fp32 masters and optimizer state.
int64_t CheckpointBytes(const Model& model, int moments);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MODEL_MEMORY_PLAN_H_
