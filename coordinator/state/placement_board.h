// What every node has free at some moment of a plan, with what is kept back for others.
#ifndef TANREN_COORDINATOR_STATE_PLACEMENT_BOARD_H_
#define TANREN_COORDINATOR_STATE_PLACEMENT_BOARD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/state/placement_index.h"
#include "coordinator/state/placement_nodes.h"
#include "coordinator/state/placement_shape.h"

namespace tanren::coordinator {

// What a node gives to a part of a gang.
struct NodeShare {
  int node = 0;
  uint64_t gpus = 0;  // bits
  Amount amount;
};

class Board {
 public:
  enum class Fill {
    kFreeNow,    // nodes that take work, as they are
    kEmptied,    // nodes that take work, if nothing ran
    kWholeFleet  // all nodes, if all took work and nothing ran
  };

  Board(const NodeTable& nodes, const ShapeTable& shapes, Fill fill);
  Board(const Board&) = default;
  Board& operator=(const Board&) = default;

  const NodeTable& nodes() const { return *nodes_; }
  const std::vector<NodeFree>& free() const { return free_; }
  bool usable(int node) const { return usable_[node]; }
  // The usable nodes with the labels of a shape.
  NodeIndex& IndexOf(const Shape& shape);

  // Takes `ranks` ranks' worth of a node that has it, and chooses the GPUs.
  NodeShare TakeRanks(int node, const RoleShape& role, int64_t ranks);
  // Takes what another board chose: as many GPUs, these if they are free here. `lasting`: counts
  // against what is kept back for later.
  void Take(const NodeShare& share, bool lasting);
  void Give(const NodeShare& share);

  // Of `node` no more than `most` may be taken from now on, by anyone or only by lasting shares
  // (those of work that doesn't end before what it is kept for begins).
  void KeepBack(int node, const NodeFree& most, bool from_lasting_only);

  // Takes since `mark` are undone by UndoTo(mark); Commit forgets them.
  size_t Mark() const { return undo_.size(); }
  void UndoTo(size_t mark);
  void Commit() { undo_.clear(), limited_undo_.clear(); }

 private:
  struct Limited {
    NodeFree unlimited;  // what would be free
    NodeFree for_all;    // limits
    NodeFree for_lasting;
  };
  struct Undo {
    int node;
    bool was_limited;  // then the last of limited_undo_ goes with it
    NodeFree before;
  };

  void Set(int node, const NodeFree& now);
  // The node's limits, after what is there was put on record; null: it has none.
  Limited* Remember(int node);
  void Subtract(int node, uint64_t gpus, const Amount& amount, bool lasting);
  NodeFree Effective(int node, const Limited& limited) const;

  const NodeTable* nodes_;
  const ShapeTable* shapes_;
  std::vector<bool> usable_;
  std::vector<NodeFree> free_;
  absl::flat_hash_map<int, Limited> limited_;
  std::vector<std::optional<NodeIndex>> indices_;  // by labels
  std::vector<Undo> undo_;
  std::vector<Limited> limited_undo_;
};

// Positions of GPUs for `ranks` ranks of `each`, in rank order, out of the bits `free`: in one
// island where one has enough (the smallest such), else from the largest on; a rank is split
// between islands only if none has enough left.
std::vector<int> SelectGpus(uint64_t free, std::span<const uint64_t> islands, int64_t ranks,
                            int64_t each);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_PLACEMENT_BOARD_H_
