#include "parallel/engine/step_memory.h"

#include <algorithm>
#include <set>

#include "parallel/engine/parameter_groups.h"
#include "parallel/engine/shard_group.h"
#include "parallel/layout/shard_layout.h"
#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

int64_t ElementSize(at::ScalarType dtype) { return static_cast<int64_t>(c10::elementSize(dtype)); }

class Walk {
 public:
  Walk(const ParameterGroups& plan, int world_size, const EngineOptions& options,
       std::span<const VisitMemory> visits)
      : plan_(plan), world_size_(world_size), options_(options), visits_(visits) {
    for (const PlannedGroup& group : plan.groups) {
      std::vector<ParameterShape> shapes;
      for (const ParameterSpec& spec : group.parameters) shapes.push_back({spec.name, spec.shape});
      const ShardLayout layout(shapes, world_size, ShardGroup::kAlignment);
      const int64_t shard = layout.shard_numel();
      numel_.push_back(layout.padded_numel());
      memory_.masters += shard * ElementSize(group.trainable() ? at::kFloat : compute());
      if (!group.trainable()) continue;
      memory_.gradients += shard * ElementSize(at::kFloat);
      lowest_trained_ = std::min(lowest_trained_, group.users.front());
    }
  }

  StepMemory Go(const std::vector<std::string>& names, int64_t micro_batches) {
    const int head = static_cast<int>(visits_.size()) - 1;
    for (int consumer = 0; consumer <= head; ++consumer) positions_.push_back(consumer);
    for (int unit = head - 1; unit >= lowest_trained_; --unit) positions_.push_back(unit);
    // Stage 1 sums the micro-batches' gradients before it reduces them.
    const bool several = options_.zero_stage == 1 && micro_batches > 1;
    for (size_t group = 0; several && group < numel_.size(); ++group) TakeGradient(group);
    for (size_t at = 0; at < positions_.size(); ++at) {
      const int consumer = positions_[at];
      const bool backward = static_cast<int>(at) > head;
      Gather(at);
      if (consumer == head || backward) {
        for (const int group : plan_.groups_of[consumer]) TakeGradient(group);
      }
      const std::string direction = backward ? "backward of " : "forward of ";
      Weigh(consumer, backward, consumer == head ? "head" : direction + names[consumer]);
      Leave(at, consumer == head || backward);
    }
    return memory_;
  }

 private:
  at::ScalarType compute() const { return options_.compute_dtype; }

  void Gather(size_t at) {
    for (size_t next = at; next <= at + options_.prefetch_depth && next < positions_.size();
         ++next) {
      for (const int group : plan_.groups_of[positions_[next]]) gathered_.insert(group);
    }
  }

  // Of one rank alone, the whole gradient is its shard.
  void TakeGradient(size_t group) {
    if (world_size_ > 1 && plan_.groups[group].trainable()) whole_gradients_.insert(group);
  }

  // As GatherWalk::Leave and Engine::ReduceAfter.
  void Leave(size_t at, bool reduces) {
    for (const int group : plan_.groups_of[positions_[at]]) {
      if (options_.zero_stage == 3 && !UsedSoon(group, at + 1)) gathered_.erase(group);
      const bool last_use = plan_.groups[group].users.front() == positions_[at];
      if (!reduces || options_.zero_stage == 1 || !last_use) continue;
      if (whole_gradients_.erase(group) > 0) reducing_ = group;
    }
  }

  bool UsedSoon(int group, size_t from) const {
    for (size_t next = from; next < std::min(from + 2, positions_.size()); ++next) {
      const std::vector<int>& used = plan_.groups_of[positions_[next]];
      if (std::find(used.begin(), used.end(), group) != used.end()) return true;
    }
    return false;
  }

  int64_t Activations(int consumer) const {
    const bool keeps_graphs = options_.recompute == Recompute::kNone;
    int64_t bytes = 0;
    for (int unit = 0; unit <= consumer; ++unit) {
      bytes += visits_[unit].output;
      if (keeps_graphs || unit == consumer) bytes += visits_[unit].kept;
    }
    return bytes;
  }

  int64_t WholeGradientBytes(int group, bool reducing) const {
    const std::vector<int>& users = plan_.groups[group].users;
    const bool sums = options_.zero_stage == 1 || users.size() > 1 ||
                      users.back() == static_cast<int>(visits_.size()) - 1;
    return numel_[group] * ElementSize(sums && !reducing ? at::kFloat : options_.gradient_dtype);
  }

  void Weigh(int consumer, bool backward, const std::string& moment) {
    StepMemory now = memory_;
    now.gathered = now.whole_gradients = 0;
    for (const int group : gathered_) now.gathered += numel_[group] * ElementSize(compute());
    for (const int group : whole_gradients_) {
      now.whole_gradients += WholeGradientBytes(group, false);
    }
    if (reducing_ >= 0) now.whole_gradients += WholeGradientBytes(reducing_, true);
    now.activations = Activations(consumer);
    now.working = backward ? visits_[consumer].backward : visits_[consumer].forward;
    now.moment = moment;
    if (now.Passing() > memory_.Passing()) memory_ = now;
  }

  const ParameterGroups& plan_;
  const int world_size_;
  const EngineOptions& options_;
  const std::span<const VisitMemory> visits_;
  std::vector<int64_t> numel_;  // of the groups, padded
  int lowest_trained_ = static_cast<int>(visits_.size());
  std::vector<int> positions_;
  std::set<int> gathered_, whole_gradients_;
  int reducing_ = -1;
  StepMemory memory_;
};

}  // namespace

StepMemory PlanStepMemory(const std::vector<std::shared_ptr<const Unit>>& units,
                          const std::vector<ParameterSpec>& head_parameters, int world_size,
                          const EngineOptions& options, std::span<const VisitMemory> visits,
                          int64_t micro_batches) {
  TANREN_CHECK(visits.size() == units.size() + 1, "the memory of {} visits for {} units and a head",
               visits.size(), units.size());
  std::vector<std::string> names;
  for (const auto& unit : units) names.push_back(unit->name());
  const ParameterGroups plan = PlanParameterGroups(units, head_parameters);
  return Walk(plan, world_size, options, visits).Go(names, micro_batches);
}

}  // namespace tanren::parallel
