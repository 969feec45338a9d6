#include "coordinator/state/placement.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

namespace tanren::coordinator {
namespace {

constexpr int kAllRacks = -1;
constexpr int kNoHosts = std::numeric_limits<int>::max();
// Racks that are tried for a whole gang, the closest fit first.
constexpr int kMostRacksTried = 8;
// With more racks than this they are no places but names: a big gang then ignores them.
constexpr int kMostRacksOrdered = 4096;

// Places one role of a gang among the nodes of an index.
class RolePlacer {
 public:
  RolePlacer(const Shape& shape, int role, Board& board, std::vector<GangPart>& parts)
      : role_(shape.roles[role]),
        role_number_(role),
        excluded_(shape.excluded),
        board_(board),
        index_(board.IndexOf(shape)),
        parts_(parts) {}

  bool Place(int64_t ranks) {
    if (ranks == 0) return true;
    if (PlaceOnOne(ranks)) return true;
    const int hosts = FewestHosts(ranks, kAllRacks);
    if (hosts == kNoHosts) return false;
    if (role_.per_rank.gpus == 0) return PlaceWithoutGpus(ranks);
    return PlaceInOneRack(ranks, hosts) || PlaceAnywhere(ranks);
  }

  // Ranks that join others of their gang on nodes which it has already; returns how many.
  int64_t Join(int64_t ranks) {
    int64_t joined = 0;
    const size_t others = parts_.size();
    for (size_t i = 0; i < others && joined < ranks; ++i) {
      const int position = index_.position(parts_[i].share.node);
      if (HoldsThisRole(parts_[i].share.node)) continue;
      const int64_t fit = std::min({RanksThatFit(role_, board_.free()[parts_[i].share.node]),
                                    role_.most_per_node, ranks - joined});
      if (fit > 0) Take(position, fit);
      joined += fit;
    }
    return joined;
  }

 private:
  // The node that holds `ranks` together with the least to spare; whole in an island if possible.
  int FindHost(int64_t ranks, int rack) {
    NodeNeed need = role_.Need(ranks);
    need.island_gpus = need.gpus;
    int found = index_.Find(need, rack, excluded_, board_.free());
    if (found < 0 && need.gpus > 1 && board_.nodes().any_islands()) {
      need.island_gpus = 0;
      found = index_.Find(need, rack, excluded_, board_.free());
    }
    return found;
  }

  void Take(int position, int64_t ranks) {
    const int node = index_.node(position);
    parts_.push_back({role_number_, ranks, board_.TakeRanks(node, role_, ranks)});
    // It may have room for more, and still takes none.
    if (role_.most_per_node < role_.ranks) {
      excluded_.insert(std::lower_bound(excluded_.begin(), excluded_.end(), node), node);
    }
  }

  bool HoldsThisRole(int node) const {
    return std::any_of(parts_.begin(), parts_.end(), [&](const GangPart& part) {
      return part.role == role_number_ && part.share.node == node;
    });
  }

  bool PlaceOnOne(int64_t ranks) {
    if (ranks > role_.most_per_node) return false;
    const int position = FindHost(ranks, kAllRacks);
    if (position < 0) return false;
    Take(position, ranks);
    return true;
  }

  // By free GPUs alone, so it may be too few; of all racks or of one.
  int FewestHosts(int64_t ranks, int rack) const {
    const int64_t each = role_.per_rank.gpus;
    int hosts = 0;
    for (int gpus = index_.most_gpus(); gpus >= each; --gpus) {
      const int count = rack == kAllRacks ? index_.Count(gpus) : index_.Count(rack, gpus);
      if (count == 0) continue;
      const int64_t of_one = std::min({role_.most_per_node, each > 0 ? gpus / each : ranks, ranks});
      const int64_t wanted = (ranks + of_one - 1) / of_one;
      if (wanted <= count) return hosts + static_cast<int>(wanted);
      hosts += count;
      ranks -= of_one * count;
    }
    return kNoHosts;
  }

  // How full a rack is: its free GPUs, or its nodes where GPUs don't matter.
  int64_t RoomOf(int rack) const {
    if (role_.per_rank.gpus > 0) return index_.FreeOfRack(rack);
    return index_.racks()[rack].end - index_.racks()[rack].begin;
  }

  // One number that sorts as (room, rack) does.
  static int64_t Ordered(int64_t room, int rack) { return room * (int64_t{1} << 32) + rack; }
  static int RackOf(int64_t ordered) { return static_cast<int>(ordered & 0xffffffff); }

  // The closest fit of the racks that hold all on so few hosts.
  bool PlaceInOneRack(int64_t ranks, int hosts) {
    const auto& racks = index_.racks();
    if (racks.size() < 2) return false;
    std::vector<int64_t> fits;
    for (int rack = 0; rack < static_cast<int>(racks.size()); ++rack) {
      if (racks[rack].end - racks[rack].begin < hosts) continue;
      const int64_t room = RoomOf(rack);
      if (role_.per_rank.gpus == 0 || room >= ranks * role_.per_rank.gpus) {
        fits.push_back(Ordered(room, rack));
      }
    }
    std::make_heap(fits.begin(), fits.end(), std::greater<int64_t>());
    for (int tried = 0; tried < kMostRacksTried && !fits.empty(); fits.pop_back()) {
      std::pop_heap(fits.begin(), fits.end(), std::greater<int64_t>());
      const int rack = RackOf(fits.back());
      if (FewestHosts(ranks, rack) > hosts) continue;
      if (PlaceWithin({&rack, 1}, ranks, hosts)) return true;
      ++tried;
    }
    return false;
  }

  bool PlaceAnywhere(int64_t ranks) {
    const auto& racks = index_.racks();
    if (racks.size() < 2 || racks.size() > kMostRacksOrdered) {
      return PlaceWithin({&kAllRacks, 1}, ranks, kNoHosts);
    }
    std::vector<int64_t> by_room;
    for (int rack = 0; rack < static_cast<int>(racks.size()); ++rack) {
      const int64_t room = RoomOf(rack);
      if (room >= role_.per_rank.gpus) by_room.push_back(Ordered(-room, rack));
    }
    std::sort(by_room.begin(), by_room.end());
    std::vector<int> order(by_room.size());
    std::transform(by_room.begin(), by_room.end(), order.begin(), RackOf);
    return PlaceWithin(order, ranks, kNoHosts);
  }

  // Free GPUs say nothing here: how many hosts it takes is known once it was tried.
  bool PlaceWithoutGpus(int64_t ranks) {
    const size_t mark = board_.Mark();
    const size_t first = parts_.size();
    const std::vector<int> excluded = excluded_;
    if (!PlaceAnywhere(ranks)) return false;
    const int hosts = static_cast<int>(parts_.size() - first);
    const int rack = index_.rack_of(index_.position(parts_[first].share.node));
    const bool together = std::all_of(
        parts_.begin() + static_cast<int64_t>(first), parts_.end(), [&](const GangPart& part) {
          return index_.rack_of(index_.position(part.share.node)) == rack;
        });
    if (together) return true;
    board_.UndoTo(mark);
    parts_.resize(first);
    excluded_ = excluded;
    return PlaceInOneRack(ranks, hosts) || PlaceAnywhere(ranks);
  }

  // No node holds more ranks than this. Where GPUs bound it, that is near enough to what holds.
  int64_t MostOnOne(int64_t ranks) const {
    const int64_t most = std::min(role_.most_per_node, ranks);
    const Amount& each = role_.per_rank;
    if (each.gpus > 0) {
      int gpus = index_.most_gpus();
      while (gpus > 0 && index_.Count(gpus) == 0) --gpus;
      return std::min(most, gpus / each.gpus);
    }
    int64_t bound = most;
    if (each.cpu_millis > 0) bound = std::min(bound, index_.MostCpuMillis() / each.cpu_millis);
    if (each.memory_bytes > 0) bound = std::min(bound, index_.MostMemory() / each.memory_bytes);
    return bound;
  }

  // The nodes that hold the most ranks go first, so that no choice has fewer hosts.
  bool PlaceWithin(std::span<const int> racks, int64_t ranks, int most_hosts) {
    const size_t mark = board_.Mark();
    const size_t first = parts_.size();
    const std::vector<int> excluded = excluded_;
    int hosts = 0;
    for (int64_t on_one = MostOnOne(ranks); on_one > 0 && ranks > 0 && hosts < most_hosts;
         on_one = std::min(on_one - 1, MostOnOne(ranks))) {
      for (const int rack : racks) {
        while (ranks > 0 && hosts < most_hosts) {
          const int64_t now = std::min(on_one, ranks);
          const int position = FindHost(now, rack);
          if (position < 0) break;
          Take(position, now);
          ranks -= now;
          ++hosts;
        }
      }
    }
    if (ranks == 0) return true;
    board_.UndoTo(mark);
    parts_.resize(first);
    excluded_ = excluded;
    return false;
  }

  const RoleShape& role_;
  const int role_number_;
  std::vector<int> excluded_;  // ascending
  Board& board_;
  NodeIndex& index_;
  std::vector<GangPart>& parts_;
};

bool PlaceOnOneHost(const Shape& shape, Board& board, std::vector<GangPart>& parts) {
  for (const RoleShape& role : shape.roles) {
    if (role.ranks > role.most_per_node) return false;
  }
  NodeIndex& index = board.IndexOf(shape);
  const Amount& total = shape.total;
  NodeNeed need{total.gpus, total.cpu_millis, total.memory_bytes, total.gpus};
  int position = index.Find(need, kAllRacks, shape.excluded, board.free());
  if (position < 0) {
    need.island_gpus = 0;
    position = index.Find(need, kAllRacks, shape.excluded, board.free());
  }
  if (position < 0) return false;
  for (int role = 0; role < static_cast<int>(shape.roles.size()); ++role) {
    const RoleShape& wanted = shape.roles[role];
    parts.push_back(
        {role, wanted.ranks, board.TakeRanks(index.node(position), wanted, wanted.ranks)});
  }
  return true;
}

bool PlaceRoles(const Shape& shape, const std::vector<int>& order, bool join, Board& board,
                std::vector<GangPart>& parts) {
  const size_t mark = board.Mark();
  for (int role : order) {
    RolePlacer placer(shape, role, board, parts);
    int64_t ranks = shape.roles[role].ranks;
    if (join) ranks -= placer.Join(ranks);
    if (!placer.Place(ranks)) {
      board.UndoTo(mark);
      parts.clear();
      return false;
    }
  }
  return true;
}

bool PlaceSeveralRoles(const Shape& shape, Board& board, std::vector<GangPart>& parts) {
  if (PlaceOnOneHost(shape, board, parts)) return true;
  std::vector<int> order(shape.roles.size());
  std::iota(order.begin(), order.end(), 0);
  for (auto by : {&Amount::gpus, &Amount::cpu_millis, &Amount::memory_bytes}) {
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return shape.roles[a].per_rank.*by > shape.roles[b].per_rank.*by;
    });
    for (bool join : {true, false}) {
      if (PlaceRoles(shape, order, join, board, parts)) return true;
    }
  }
  return false;
}

}  // namespace

int64_t RanksThatFit(const RoleShape& role, const NodeFree& free) {
  int64_t fit = role.ranks;
  const Amount& each = role.per_rank;
  if (each.gpus > 0) fit = std::min(fit, free.gpu_count / each.gpus);
  if (each.cpu_millis > 0) fit = std::min(fit, free.cpu_millis / each.cpu_millis);
  if (each.memory_bytes > 0) fit = std::min(fit, free.memory_bytes / each.memory_bytes);
  return std::min(fit, role.most_per_node);
}

namespace {

void AddGpus(const GangPart& part, const RoleShape& role, const NodeTable& nodes,
             Placement& placement) {
  const Node& node = *nodes[part.share.node].node;
  if (part.share.gpus == 0) return;
  placement.mutable_gpus()->Reserve(std::popcount(part.share.gpus));
  const auto islands = nodes.islands(part.share.node);
  if (islands.empty()) {
    for (uint64_t left = part.share.gpus; left != 0; left &= left - 1) {
      placement.add_gpus(node.gpus(std::countr_zero(left)).index());
    }
    return;
  }
  for (int position : SelectGpus(part.share.gpus, islands, part.ranks, role.per_rank.gpus)) {
    placement.add_gpus(node.gpus(position).index());
  }
}

}  // namespace

bool PlaceGang(const Shape& shape, Board& board, std::vector<GangPart>& parts) {
  parts.clear();
  if (shape.roles.empty()) return false;
  if (!shape.single_role()) return PlaceSeveralRoles(shape, board, parts);
  return RolePlacer(shape, 0, board, parts).Place(shape.roles[0].ranks);
}

std::vector<Placement> ToPlacements(const JobSpec& spec, const Shape& shape, const NodeTable& nodes,
                                    std::vector<GangPart> parts) {
  std::sort(parts.begin(), parts.end(), [](const GangPart& a, const GangPart& b) {
    return std::pair(a.role, a.share.node) < std::pair(b.role, b.share.node);
  });
  std::vector<Placement> placements;
  placements.reserve(parts.size());
  int64_t first_rank = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const GangPart& part = parts[i];
    const RoleShape& role = shape.roles[part.role];
    if (i == 0 || parts[i - 1].role != part.role) first_rank = 0;
    const Node& node = *nodes[part.share.node].node;
    Placement& placement = placements.emplace_back();
    placement.set_node(node.name());
    placement.set_role(spec.roles(role.role).name());
    placement.set_first_rank(static_cast<int32_t>(first_rank));
    placement.set_ranks(static_cast<int32_t>(part.ranks));
    first_rank += part.ranks;
    AddGpus(part, role, nodes, placement);
    Resources& total = *placement.mutable_total();
    total.set_gpus(static_cast<int32_t>(part.share.amount.gpus));
    total.set_cpu_millis(static_cast<int32_t>(part.share.amount.cpu_millis));
    total.set_memory_bytes(part.share.amount.memory_bytes);
  }
  return placements;
}

}  // namespace tanren::coordinator
