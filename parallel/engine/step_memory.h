// What an engine takes on one rank, by arithmetic alone: nothing is allocated. Follows engine.cc's
// walk position by position, so who changes the walk changes this.
#ifndef TANREN_PARALLEL_ENGINE_STEP_MEMORY_H_
#define TANREN_PARALLEL_ENGINE_STEP_MEMORY_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parallel/engine/engine.h"
#include "parallel/engine/unit.h"

namespace tanren::parallel {

// What a unit, or the head, takes for one micro-batch. Bytes.
struct VisitMemory {
  int64_t output = 0;    // the hidden states that it returns, and what else flows on
  int64_t kept = 0;      // what else its graph keeps until its backward
  int64_t forward = 0;   // besides those, while it runs forward
  int64_t backward = 0;  // besides all of them, while it runs backward
};

// Bytes of one rank; every rank has the same.
struct StepMemory {
  int64_t masters = 0;    // this rank's shard of the parameters
  int64_t gradients = 0;  // and of their gradients
  // Of the moment of a step at which these are together largest.
  int64_t gathered = 0;         // weights in the compute dtype
  int64_t whole_gradients = 0;  // not yet reduced
  int64_t activations = 0;      // kept for the backward walk
  int64_t working = 0;          // what the visit under way takes besides
  std::string moment;           // "forward of model.layers.3", "head", "backward of …"

  int64_t Passing() const { return gathered + whole_gradients + activations + working; }
};

// `visits` are of the units, then of the head. `micro_batches` of a step: with ZeRO stage 1 the
// whole gradients of one are there throughout the next. Throws for options that no engine takes.
StepMemory PlanStepMemory(const std::vector<std::shared_ptr<const Unit>>& units,
                          const std::vector<ParameterSpec>& head_parameters, int world_size,
                          const EngineOptions& options, std::span<const VisitMemory> visits,
                          int64_t micro_batches);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_ENGINE_STEP_MEMORY_H_
