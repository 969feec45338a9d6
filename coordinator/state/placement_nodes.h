// The nodes of a pass in the order in which placement looks at them: by rack, then by name.
#ifndef TANREN_COORDINATOR_STATE_PLACEMENT_NODES_H_
#define TANREN_COORDINATOR_STATE_PLACEMENT_NODES_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/state/cluster.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// GPUs beyond so many on one node are left alone: a node's GPUs are the bits of one word.
inline constexpr int kMostGpusOfNode = 64;

struct Amount {
  int64_t gpus = 0;
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
};

inline Amount operator*(const Amount& one, int64_t times) {
  return {one.gpus * times, one.cpu_millis * times, one.memory_bytes * times};
}
inline Amount& operator+=(Amount& sum, const Amount& more) {
  sum.gpus += more.gpus;
  sum.cpu_millis += more.cpu_millis;
  sum.memory_bytes += more.memory_bytes;
  return sum;
}

inline Amount AmountOf(const Resources& resources) {
  return {resources.gpus(), resources.cpu_millis(), resources.memory_bytes()};
}

// What a node has to give: its GPUs by position in Node.gpus.
struct NodeFree {
  uint64_t gpus = 0;  // bit i: the GPU at position i
  int32_t gpu_count = 0;
  int32_t island_gpus = 0;  // the most that one NVLink island has
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
};

class NodeTable {
 public:
  struct Entry {
    const Node* node = nullptr;
    const NodeLoad* load = nullptr;  // null: nothing of it is taken
    int rack = 0;                    // numbered in the order of their names
    bool usable = false;             // up, and takes new work
    int first_island = 0;
    int islands = 0;  // 0: all its GPUs are one
    uint64_t gpus = 0;
    bool index_is_position = true;  // of every GPU
  };

  // Keeps pointers into `cluster`.
  explicit NodeTable(const Cluster& cluster);

  int size() const { return static_cast<int>(entries_.size()); }
  const Entry& operator[](int node) const { return entries_[node]; }
  // Bits of each island; empty where there is one.
  std::span<const uint64_t> islands(int node) const {
    return {islands_.data() + entries_[node].first_island,
            static_cast<size_t>(entries_[node].islands)};
  }
  bool any_islands() const { return !islands_.empty(); }
  int racks() const { return racks_; }
  // -1: no such node, or one that stands for a whole cluster.
  int Find(std::string_view name) const;
  // Those that have all of `labels`, ascending.
  std::vector<int> WithLabels(const std::map<std::string, std::string>& labels) const;
  // Nodes that stand for a whole cluster which does its own accounting, by name.
  const std::vector<Entry>& whole_clusters() const { return whole_clusters_; }

  NodeFree FreeNow(int node) const;
  NodeFree Whole(int node) const;
  // The most GPUs that one of `gpus` has in one island.
  int32_t IslandGpus(int node, uint64_t gpus) const;
  // The bits of GPUs with these indices.
  uint64_t Bits(int node, std::span<const int32_t> indices) const;

 private:
  static void PrefetchGpus(const std::vector<Entry>& entries, size_t i);
  void AddIslands(Entry& entry);

  std::vector<Entry> entries_;
  std::vector<Entry> whole_clusters_;
  std::vector<uint64_t> islands_;
  int racks_ = 0;
  mutable absl::flat_hash_map<std::string_view, int> by_name_;  // made when it is first asked
};

bool HasLabels(const Node& node, const std::map<std::string, std::string>& labels);
bool TakesWork(const Node& node);
bool IsWholeCluster(const Node& node);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_PLACEMENT_NODES_H_
