// Finds a node with enough free quickly: nodes by the number of their free GPUs, and for each 64 of
// them the most that one has of the rest.
#ifndef TANREN_COORDINATOR_STATE_PLACEMENT_INDEX_H_
#define TANREN_COORDINATOR_STATE_PLACEMENT_INDEX_H_

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "coordinator/state/placement_nodes.h"

namespace tanren::coordinator {

// What is asked of one node.
struct NodeNeed {
  int64_t gpus = 0;
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
  int64_t island_gpus = 0;  // so many within one island
};

// Positions number the members: ascending nodes, so those of a rack are together.
class NodeIndex {
 public:
  static constexpr int kAllRacks = -1;

  struct Rack {
    int begin = 0;  // positions
    int end = 0;
  };

  struct RackRoom {
    int64_t room = 0;
    int rack = 0;
    friend auto operator<=>(const RackRoom&, const RackRoom&) = default;
  };

  // `members`: ascending. `free` is of all nodes, and stays the caller's: it tells every change of
  // a node by Changed.
  NodeIndex(const NodeTable& nodes, std::vector<int> members, const std::vector<NodeFree>& free);

  void Changed(int node, const NodeFree& before, const std::vector<NodeFree>& free);

  int size() const { return static_cast<int>(members_.size()); }
  int node(int position) const { return members_[position]; }
  int position(int node) const { return position_[node]; }
  int most_gpus() const { return buckets_ - 1; }
  const std::vector<Rack>& racks() const { return racks_; }
  int rack_of(int position) const { return rack_of_[position]; }
  // How many nodes have exactly so many GPUs free.
  int Count(int gpus) const { return counts_[gpus]; }
  int Count(int rack, int gpus) const { return rack_counts_[rack * buckets_ + gpus]; }
  // Free GPUs of a rack in all.
  int64_t FreeOfRack(int rack) const { return rack_free_[rack]; }
  // All racks, ascending by free GPUs, then by number. Good until the next call.
  std::span<const RackRoom> RacksByFreeGpus();
  // The same by the number of their nodes.
  std::span<const RackRoom> RacksBySize();

  // The first member of a rack (or of kAllRacks) with the least free GPUs that are enough; -1:
  // none.
  int Find(const NodeNeed& need, int rack, std::span<const int> excluded,
           const std::vector<NodeFree>& free);
  // An upper bound of what one member has beside GPUs.
  int64_t MostCpuMillis() { return FreshMost().cpu_millis; }
  int64_t MostMemory() { return FreshMost().memory_bytes; }

 private:
  struct Word {
    uint64_t members = 0;
    // The most of one member, or more: what nodes give is subtracted when it matters.
    int64_t cpu_millis = -1;
    int64_t memory_bytes = -1;
    int32_t island_gpus = -1;
  };

  void Add(int position, const NodeFree& free);
  const Word& FreshMost();
  // Puts one rack where it belongs in racks_by_free_.
  void PlaceAnew(int rack);
  void Tighten(Word& word, int first_position, const std::vector<NodeFree>& free);
  int FindInBucket(Word* words, const NodeNeed& need, int begin, int end,
                   std::span<const int> excluded, const std::vector<NodeFree>& free);

  std::vector<int> members_;
  std::vector<int> position_;  // by node; -1: not a member
  std::vector<int> rack_of_;   // by position: an index of racks_
  std::vector<Rack> racks_;
  int buckets_ = 1;
  int words_ = 0;  // of one bucket
  std::vector<Word> table_;
  Word most_;  // of all members, or more
  int changes_since_most_ = 0;
  std::vector<int> counts_;
  std::vector<int> rack_counts_;
  std::vector<int64_t> rack_free_;
  // Made when they are first asked for.
  std::vector<RackRoom> racks_by_free_;
  std::vector<RackRoom> racks_by_size_;
  // Racks that racks_by_free_ has under the room that they had then.
  std::vector<int> moved_racks_;
  std::vector<int64_t> room_in_order_;  // by rack
  std::vector<bool> is_moved_;          // by rack
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_PLACEMENT_INDEX_H_
