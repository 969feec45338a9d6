// Which parameters are sharded together: those that are used by the same units and are alike in
// being trained or frozen. A tied embedding is thereby a group of its own, used by the first unit
// and by the head.
#ifndef TANREN_PARALLEL_ENGINE_PARAMETER_GROUPS_H_
#define TANREN_PARALLEL_ENGINE_PARAMETER_GROUPS_H_

#include <memory>
#include <string>
#include <vector>

#include "parallel/engine/unit.h"

namespace tanren::parallel {

// A consumer is a unit by its index; the head's is the number of units.
struct PlannedGroup {
  std::string name;                       // of its users: "model.layers.3", "embedding+head"
  std::vector<ParameterSpec> parameters;  // all trainable or all frozen
  std::vector<int> users;                 // consumers, ascending
  bool trainable() const { return parameters.front().trainable; }
};

// Where a consumer's parameter is.
struct ParameterPlace {
  int group = 0;
  int index = 0;  // in the group's parameters
};

struct ParameterGroups {
  std::vector<PlannedGroup> groups;                 // ordered by first user
  std::vector<std::vector<ParameterPlace>> places;  // [consumer][parameter]
  std::vector<std::vector<int>> groups_of;          // [consumer]: its groups, ascending
};

// Throws Error(kInvalidArgument) where two consumers disagree about a parameter's spec or one
// names it twice.
ParameterGroups PlanParameterGroups(const std::vector<std::shared_ptr<const Unit>>& units,
                                    const std::vector<ParameterSpec>& head_parameters);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_ENGINE_PARAMETER_GROUPS_H_
