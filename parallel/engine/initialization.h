// Values of parameters before training, from a seed or from a reader.
#ifndef TANREN_PARALLEL_ENGINE_INITIALIZATION_H_
#define TANREN_PARALLEL_ENGINE_INITIALIZATION_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "parallel/engine/shard_group.h"

namespace tanren::parallel {

// Fills `values` with elements begin, begin + 1, … of the flattened parameter `spec`. An element is
// a function of (seed, spec.name, its index) alone: Philox counters, two elements from each.
void InitialValues(const ParameterSpec& spec, uint64_t seed, int64_t begin,
                   std::span<float> values);

// Fills `values` with elements begin … end − 1 of a flattened parameter.
using PieceFiller =
    std::function<void(const ParameterSpec& spec, int64_t begin, std::span<float> values)>;

// Writes this rank's shard from `fill`, called with a bounded number of elements at a time.
void FillShard(ShardGroup& group, const PieceFiller& fill);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_ENGINE_INITIALIZATION_H_
