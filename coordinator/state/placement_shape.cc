#include "coordinator/state/placement_shape.h"

#include <algorithm>

namespace tanren::coordinator {
namespace {

void AppendNumber(int64_t number, std::string& key) {
  key.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void AppendText(const std::string& text, std::string& key) {
  AppendNumber(static_cast<int64_t>(text.size()), key);
  key += text;
}

// Equal for equal demands, whatever the order of the labels.
void AppendLabels(const JobSpec& spec, std::string& key) {
  if (spec.node_labels().empty()) return;
  const std::map<std::string, std::string> sorted(spec.node_labels().begin(),
                                                  spec.node_labels().end());
  for (const auto& [name, value] : sorted) {
    AppendText(name, key);
    AppendText(value, key);
  }
}

}  // namespace

NodeNeed RoleShape::Need(int64_t ranks_together) const {
  const Amount amount = per_rank * ranks_together;
  return {amount.gpus, amount.cpu_millis, amount.memory_bytes, 0};
}

Amount TotalOf(const JobSpec& spec) {
  Amount total;
  for (const Role& role : spec.roles()) {
    total += AmountOf(role.per_rank()) * std::max(role.ranks(), 0);
  }
  return total;
}

const Shape& ShapeTable::Of(const JobSpec& spec) {
  key_.clear();
  for (const Role& role : spec.roles()) {
    AppendNumber(role.ranks(), key_);
    AppendNumber(role.per_rank().gpus(), key_);
    AppendNumber(role.per_rank().cpu_millis(), key_);
    AppendNumber(role.per_rank().memory_bytes(), key_);
    AppendNumber(role.max_ranks_per_node(), key_);
  }
  AppendNumber(-1, key_);
  for (const std::string& name : spec.excluded_nodes()) AppendText(name, key_);
  AppendNumber(-1, key_);
  AppendLabels(spec, key_);
  auto [known, fresh] = known_.try_emplace(key_, static_cast<int>(shapes_.size()));
  if (!fresh) return shapes_[known->second];

  Shape shape;
  shape.number = known->second;
  for (int i = 0; i < spec.roles_size(); ++i) {
    const Role& role = spec.roles(i);
    if (role.ranks() <= 0) continue;
    const int64_t most = role.max_ranks_per_node() > 0 ? role.max_ranks_per_node() : role.ranks();
    shape.roles.push_back({i, role.ranks(), AmountOf(role.per_rank()), most});
  }
  shape.total = TotalOf(spec);
  for (const std::string& name : spec.excluded_nodes()) {
    const int node = nodes_.Find(name);
    if (node >= 0) shape.excluded.push_back(node);
  }
  std::sort(shape.excluded.begin(), shape.excluded.end());

  key_.clear();
  AppendLabels(spec, key_);
  auto labels = known_labels_.try_emplace(key_, static_cast<int>(label_nodes_.size()));
  if (labels.second) {
    label_nodes_.push_back(
        nodes_.WithLabels({spec.node_labels().begin(), spec.node_labels().end()}));
  }
  shape.labels = labels.first->second;
  shapes_.push_back(std::move(shape));
  return shapes_.back();
}

}  // namespace tanren::coordinator
