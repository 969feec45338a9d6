// Whether the ranks of a recipe fit into a machine's memory, and which settings would make them.
#ifndef TANREN_TRAINER_MEMORY_CHECK_H_
#define TANREN_TRAINER_MEMORY_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/recipe.pb.h"
#include "runtime/formats/model_config.h"
#include "trainer/model/memory_plan.h"
#include "trainer/model/model.h"

namespace tanren::trainer {

struct RanksToPlan {
  int world_size = 1;
  int on_host = 1;  // of them, those that share a machine's memory
};

// What each rank of the recipe takes.
MemoryPlan PlanMemory(const Recipe& recipe, const formats::ModelConfig& config, const Model& model,
                      at::ScalarType compute_type, int world_size);

// fp32 numbers that the recipe's optimizer keeps for each parameter.
int MomentsOf(const OptimizerRecipe& recipe);

// A change that lowers what the ranks of a host need together.
struct MemorySaving {
  std::string setting;  // "training.micro_batch_rows: 1"
  int64_t saved = 0;    // bytes
};

// Each change by itself, those that save most first; only those that save 1 % or more.
std::vector<MemorySaving> SavingsOf(const Recipe& recipe, const formats::ModelConfig& config,
                                    const Model& model, at::ScalarType compute_type,
                                    const RanksToPlan& ranks);

// kResourceExhausted where the ranks of a host together need more than `available` bytes: what they
// need, what there is, and what would lower it by how much.
absl::Status CheckMemory(const Recipe& recipe, const formats::ModelConfig& config,
                         const Model& model, at::ScalarType compute_type, const RanksToPlan& ranks,
                         uint64_t available);

// `failure`, an allocation that failed in a training, with the `left` bytes that can still be taken
// and the settings that lower what the ranks of a host need.
absl::Status WithMemoryAdvice(const absl::Status& failure, const Recipe& recipe,
                              const formats::ModelConfig& config, const Model& model,
                              at::ScalarType compute_type, const RanksToPlan& ranks, uint64_t left);

// The plan of one rank as a table for people, what all of the host's ranks need, and what the
// recipe's checkpoints take on disk.
std::string RenderMemoryPlan(const MemoryPlan& plan, const Recipe& recipe, const Model& model,
                             const RanksToPlan& ranks);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MEMORY_CHECK_H_
