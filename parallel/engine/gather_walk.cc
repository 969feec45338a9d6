#include "parallel/engine/gather_walk.h"

#include <algorithm>
#include <utility>

#include "runtime/base/error.h"

namespace tanren::parallel {

GatherWalk::GatherWalk(const ParameterGroups& plan,
                       const std::vector<std::unique_ptr<ShardGroup>>& groups,
                       std::vector<int> consumers, Options options)
    : plan_(plan), groups_(groups), consumers_(std::move(consumers)), options_(options) {}

void GatherWalk::Enter() {
  TANREN_CHECK(position_ < consumers_.size(), "the walk is over");
  for (int group : plan_.groups_of[consumers_[position_]]) groups_[group]->StartGather();
  for (int group : plan_.groups_of[consumers_[position_]]) groups_[group]->FinishGather();
  for (int ahead = 1; ahead <= options_.prefetch_depth; ++ahead) {
    if (position_ + ahead >= consumers_.size()) break;
    for (int group : plan_.groups_of[consumers_[position_ + ahead]]) groups_[group]->StartGather();
  }
}

void GatherWalk::Leave() {
  const int consumer = consumers_[position_++];
  if (!options_.release) return;
  for (int group : plan_.groups_of[consumer]) {
    if (!UsedSoon(group)) groups_[group]->Release();
  }
}

bool GatherWalk::UsedSoon(int group) const {
  const size_t end = std::min(position_ + 2, consumers_.size());
  for (size_t next = position_; next < end; ++next) {
    const std::vector<int>& used = plan_.groups_of[consumers_[next]];
    if (std::find(used.begin(), used.end(), group) != used.end()) return true;
  }
  return false;
}

}  // namespace tanren::parallel
