// Where the ranks of one role go: on as few hosts as they can, in as few racks and NVLink islands.
#ifndef TANREN_COORDINATOR_STATE_PLACEMENT_ROLE_H_
#define TANREN_COORDINATOR_STATE_PLACEMENT_ROLE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "coordinator/state/placement_board.h"
#include "coordinator/state/placement_shape.h"

namespace tanren::coordinator {

struct GangPart {
  int role = 0;  // an index of Shape.roles
  int64_t ranks = 0;
  NodeShare share;
};

// How many ranks of a role `free` holds.
int64_t RanksThatFit(const RoleShape& role, const NodeFree& free);

// Places one role of a gang among the nodes that it may use.
class RolePlacer {
 public:
  // `parts`: what the gang has already; what is placed is added.
  RolePlacer(const Shape& shape, int role, Board& board, std::vector<GangPart>& parts);

  // All of them or none: then it returns false, and the board is as it was.
  bool Place(int64_t ranks);
  // Ranks that join others of their gang on nodes which it has already; returns how many.
  int64_t Join(int64_t ranks);

 private:
  // The node that holds `ranks` together with the least to spare; whole in an island if possible.
  int FindHost(int64_t ranks, int rack);
  void Take(int position, int64_t ranks);
  // What was taken before it stays when what came after is given up.
  struct Point {
    size_t mark = 0;  // the board's
    size_t parts = 0;
    std::vector<int> excluded;
  };
  Point Now() const { return {board_.Mark(), parts_.size(), excluded_}; }
  void GoBack(const Point& before);
  bool HoldsThisRole(int node) const;
  bool PlaceOnOne(int64_t ranks);
  // By free GPUs alone, so it may be too few; of all racks or of one. More than `limit`: kNoHosts.
  int FewestHosts(int64_t ranks, int rack, int limit) const;
  // By how full a rack is: its free GPUs, or its nodes where GPUs don't matter.
  std::span<const NodeIndex::RackRoom> RacksByRoom();
  // The closest fit of the racks that hold all on so few hosts.
  bool PlaceInOneRack(int64_t ranks, int hosts);
  bool PlaceAnywhere(int64_t ranks);
  // Free GPUs say nothing here: how many hosts it takes is known once it was tried.
  bool PlaceWithoutGpus(int64_t ranks);
  // No node holds more ranks than this. Where GPUs bound it, that is near enough to what holds.
  int64_t MostOnOne(int64_t ranks) const;
  // The nodes that hold the most ranks go first, so that no choice has fewer hosts.
  bool PlaceWithin(std::span<const int> racks, int64_t ranks, int most_hosts);

  const RoleShape& role_;
  const int role_number_;
  std::vector<int> excluded_;  // ascending
  Board& board_;
  NodeIndex& index_;
  std::vector<GangPart>& parts_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_PLACEMENT_ROLE_H_
