#include "parallel/engine/parameter_groups.h"

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

struct Use {
  ParameterSpec spec;
  std::vector<int> users;
};

std::string ConsumerName(const std::vector<std::shared_ptr<const Unit>>& units, int consumer) {
  return consumer < static_cast<int>(units.size()) ? units[consumer]->name() : "head";
}

// Every parameter once, in the order of first use.
std::vector<Use> CollectUses(const std::vector<std::shared_ptr<const Unit>>& units,
                             const std::vector<std::vector<ParameterSpec>>& specs) {
  std::vector<Use> uses;
  std::map<std::string, size_t> by_name;
  for (int consumer = 0; consumer < static_cast<int>(specs.size()); ++consumer) {
    for (const ParameterSpec& spec : specs[consumer]) {
      const auto [it, is_new] = by_name.try_emplace(spec.name, uses.size());
      if (is_new) {
        uses.push_back({spec, {consumer}});
        continue;
      }
      Use& use = uses[it->second];
      if (use.users.back() == consumer) {
        throw Error(absl::InvalidArgumentError(fmt::format(
            "{} names parameter '{}' twice", ConsumerName(units, consumer), spec.name)));
      }
      if (use.spec != spec) {
        throw Error(absl::InvalidArgumentError(fmt::format(
            "{} and {} disagree about the shared parameter '{}'",
            ConsumerName(units, use.users.back()), ConsumerName(units, consumer), spec.name)));
      }
      use.users.push_back(consumer);
    }
  }
  return uses;
}

std::string GroupName(const std::vector<std::shared_ptr<const Unit>>& units, const Use& use) {
  std::string name;
  for (int user : use.users) name += (name.empty() ? "" : "+") + ConsumerName(units, user);
  return use.spec.trainable ? name : name + " (frozen)";
}

}  // namespace

ParameterGroups PlanParameterGroups(const std::vector<std::shared_ptr<const Unit>>& units,
                                    const std::vector<ParameterSpec>& head_parameters) {
  std::vector<std::vector<ParameterSpec>> specs;
  for (const auto& unit : units) specs.push_back(unit->parameters());
  specs.push_back(head_parameters);

  ParameterGroups plan;
  std::map<std::pair<std::vector<int>, bool>, int> group_by_use;
  std::map<std::string, ParameterPlace> place_by_name;
  for (const Use& use : CollectUses(units, specs)) {
    const auto [it, is_new] = group_by_use.try_emplace({use.users, use.spec.trainable},
                                                       static_cast<int>(plan.groups.size()));
    if (is_new) plan.groups.push_back({GroupName(units, use), {}, use.users});
    PlannedGroup& group = plan.groups[it->second];
    place_by_name[use.spec.name] = {it->second, static_cast<int>(group.parameters.size())};
    group.parameters.push_back(use.spec);
  }
  for (const auto& consumer : specs) {
    std::vector<ParameterPlace>& places = plan.places.emplace_back();
    std::vector<int>& groups = plan.groups_of.emplace_back();
    for (const ParameterSpec& spec : consumer) {
      places.push_back(place_by_name.at(spec.name));
      groups.push_back(places.back().group);
    }
    std::sort(groups.begin(), groups.end());
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  }
  return plan;
}

}  // namespace tanren::parallel
