#include "coordinator/state/placement_nodes.h"

#include <algorithm>
#include <bit>

namespace tanren::coordinator {
namespace {

uint64_t LowBits(int count) {
  return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << std::max(count, 0)) - 1;
}

}  // namespace

bool HasLabels(const Node& node, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : labels) {
    auto found = node.labels().find(key);
    if (found == node.labels().end() || found->second != value) return false;
  }
  return true;
}

bool TakesWork(const Node& node) { return node.state() == Node::UP && !node.draining(); }

bool IsWholeCluster(const Node& node) { return node.launcher() == "slurm"; }

NodeTable::NodeTable(const Cluster& cluster) {
  std::vector<Entry> by_name;
  by_name.reserve(cluster.nodes.size());
  std::map<std::string_view, int> racks;
  auto rack = racks.end();
  auto load = cluster.loads.begin();
  for (const auto& [name, node] : cluster.nodes) {
    int order = -1;
    while (load != cluster.loads.end() && (order = load->first.compare(name)) < 0) ++load;
    Entry entry;
    entry.node = &node;
    if (order == 0) entry.load = &load->second;
    entry.usable = TakesWork(node);
    if (IsWholeCluster(node)) {
      whole_clusters_.push_back(entry);
      continue;
    }
    // Mostly that of the node before.
    if (rack == racks.end() || rack->first != node.rack()) {
      rack = racks.try_emplace(node.rack(), static_cast<int>(racks.size())).first;
    }
    entry.rack = rack->second;
    by_name.push_back(entry);
  }
  std::vector<int> rank_of_rack(racks.size());
  for (const auto& [name, number] : racks) rank_of_rack[number] = racks_++;

  // A counting sort: stable, so that nodes stay in the order of their names.
  std::vector<int> first(racks_ + 1);
  for (Entry& entry : by_name) {
    entry.rack = rank_of_rack[entry.rack];
    ++first[entry.rack + 1];
  }
  for (int rack = 0; rack < racks_; ++rack) first[rack + 1] += first[rack];
  entries_.resize(by_name.size());
  for (size_t i = 0; i < by_name.size(); ++i) {
    PrefetchGpus(by_name, i);
    AddIslands(by_name[i]);
    entries_[first[by_name[i].rack]++] = by_name[i];
  }
}

// Asks for what the nodes after number `i` have; the further away, the less deep it lies.
void NodeTable::PrefetchGpus(const std::vector<Entry>& entries, size_t i) {
  constexpr size_t kFar = 8;
  constexpr size_t kNear = 4;
  if (i + kFar < entries.size()) __builtin_prefetch(entries[i + kFar].node->gpus().data());
  if (i + kNear >= entries.size()) return;
  for (const Gpu& gpu : entries[i + kNear].node->gpus()) __builtin_prefetch(&gpu);
}

void NodeTable::AddIslands(Entry& entry) {
  const auto& gpus = entry.node->gpus();
  const int count = std::min(gpus.size(), kMostGpusOfNode);
  entry.gpus = LowBits(count);
  entry.first_island = static_cast<int>(islands_.size());
  if (count == 0) return;
  int numbers[kMostGpusOfNode];
  for (int i = 0; i < count; ++i) {
    const int number = gpus[i].island();
    if (gpus[i].index() != i) entry.index_is_position = false;
    int known = 0;
    while (known < entry.islands && numbers[known] != number) ++known;
    if (known == entry.islands) {
      numbers[entry.islands++] = number;
      islands_.push_back(0);
    }
    islands_[entry.first_island + known] |= uint64_t{1} << i;
  }
  if (entry.islands == 1) {
    islands_.pop_back();
    entry.islands = 0;
  }
}

int NodeTable::Find(std::string_view name) const {
  if (by_name_.empty()) {
    by_name_.reserve(entries_.size());
    for (int i = 0; i < size(); ++i) by_name_.emplace(entries_[i].node->name(), i);
  }
  auto found = by_name_.find(name);
  return found == by_name_.end() ? -1 : found->second;
}

std::vector<int> NodeTable::WithLabels(const std::map<std::string, std::string>& labels) const {
  std::vector<int> nodes;
  for (int i = 0; i < size(); ++i) {
    if (HasLabels(*entries_[i].node, labels)) nodes.push_back(i);
  }
  return nodes;
}

int32_t NodeTable::IslandGpus(int node, uint64_t gpus) const {
  if (entries_[node].islands == 0) return std::popcount(gpus);
  int32_t most = 0;
  for (uint64_t island : islands(node)) most = std::max(most, std::popcount(gpus & island));
  return most;
}

NodeFree NodeTable::Whole(int node) const {
  const Entry& entry = entries_[node];
  NodeFree free;
  free.gpus = entry.gpus;
  free.gpu_count = std::popcount(free.gpus);
  free.island_gpus = IslandGpus(node, free.gpus);
  free.cpu_millis = std::max<int64_t>(0, entry.node->cpu_millis());
  free.memory_bytes = std::max<int64_t>(0, entry.node->memory_bytes());
  return free;
}

NodeFree NodeTable::FreeNow(int node) const {
  const Entry& entry = entries_[node];
  NodeFree free = Whole(node);
  if (entry.load == nullptr) return free;
  const std::vector<bool>& taken = entry.load->gpu_taken;
  const int known = std::min(static_cast<int>(taken.size()), kMostGpusOfNode);
  for (int i = 0; i < known; ++i) {
    if (taken[i]) free.gpus &= ~(uint64_t{1} << i);
  }
  free.gpu_count = std::popcount(free.gpus);
  free.island_gpus = IslandGpus(node, free.gpus);
  free.cpu_millis = std::max<int64_t>(0, entry.load->cpu_millis_free);
  free.memory_bytes = std::max<int64_t>(0, entry.load->memory_free);
  return free;
}

uint64_t NodeTable::Bits(int node, std::span<const int32_t> indices) const {
  uint64_t bits = 0;
  if (entries_[node].index_is_position) {
    for (int32_t index : indices) {
      if (index >= 0 && index < kMostGpusOfNode) bits |= uint64_t{1} << index;
    }
    return bits & entries_[node].gpus;
  }
  const auto& gpus = entries_[node].node->gpus();
  const int count = std::min(gpus.size(), kMostGpusOfNode);
  for (int32_t index : indices) {
    for (int i = 0; i < count; ++i) {
      if (gpus[i].index() == index) bits |= uint64_t{1} << i;
    }
  }
  return bits;
}

}  // namespace tanren::coordinator
