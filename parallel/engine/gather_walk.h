// Which weights are there while a sequence of consumers is visited: gathered before each, perhaps
// ahead of time, and released once nothing near needs them.
#ifndef TANREN_PARALLEL_ENGINE_GATHER_WALK_H_
#define TANREN_PARALLEL_ENGINE_GATHER_WALK_H_

#include <memory>
#include <vector>

#include "parallel/engine/parameter_groups.h"
#include "parallel/engine/shard_group.h"

namespace tanren::parallel {

class GatherWalk {
 public:
  struct Options {
    int prefetch_depth = 0;
    bool release = true;  // false: weights stay (ZeRO-1 and 2)
  };
  // `consumers` will be entered and left in this order. The arguments must outlive the walk.
  GatherWalk(const ParameterGroups& plan, const std::vector<std::unique_ptr<ShardGroup>>& groups,
             std::vector<int> consumers, Options options);

  // Returns when the next consumer's weights are there; starts gathers of those that follow.
  void Enter();
  // Releases what the entered consumer used, unless one of the next two uses it too: the last unit
  // keeps its weights while the head runs between its forward and its backward.
  void Leave();

 private:
  bool UsedSoon(int group) const;

  const ParameterGroups& plan_;
  const std::vector<std::unique_ptr<ShardGroup>>& groups_;
  std::vector<int> consumers_;
  Options options_;
  size_t position_ = 0;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_ENGINE_GATHER_WALK_H_
