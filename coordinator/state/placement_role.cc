#include "coordinator/state/placement_role.h"

#include <algorithm>
#include <limits>

namespace tanren::coordinator {
namespace {

constexpr int kAllRacks = NodeIndex::kAllRacks;
constexpr int kNoHosts = std::numeric_limits<int>::max();
// Racks that are tried for a whole gang, the closest fit first.
constexpr int kMostRacksTried = 8;
// With more racks than this they are no places but names: a big gang then ignores them.
constexpr int kMostRacksOrdered = 4096;

}  // namespace

int64_t RanksThatFit(const RoleShape& role, const NodeFree& free) {
  int64_t fit = role.ranks;
  const Amount& each = role.per_rank;
  if (each.gpus > 0) fit = std::min(fit, free.gpu_count / each.gpus);
  if (each.cpu_millis > 0) fit = std::min(fit, free.cpu_millis / each.cpu_millis);
  if (each.memory_bytes > 0) fit = std::min(fit, free.memory_bytes / each.memory_bytes);
  return std::min(fit, role.most_per_node);
}

RolePlacer::RolePlacer(const Shape& shape, int role, Board& board, std::vector<GangPart>& parts)
    : role_(shape.roles[role]),
      role_number_(role),
      excluded_(shape.excluded),
      board_(board),
      index_(board.IndexOf(shape)),
      parts_(parts) {}

bool RolePlacer::Place(int64_t ranks) {
  if (ranks == 0) return true;
  if (PlaceOnOne(ranks)) return true;
  const int hosts = FewestHosts(ranks, kAllRacks, kNoHosts);
  if (hosts == kNoHosts) return false;
  if (role_.per_rank.gpus == 0) return PlaceWithoutGpus(ranks);
  return PlaceInOneRack(ranks, hosts) || PlaceAnywhere(ranks);
}

int64_t RolePlacer::Join(int64_t ranks) {
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

int RolePlacer::FindHost(int64_t ranks, int rack) {
  NodeNeed need = role_.Need(ranks);
  need.island_gpus = need.gpus;
  int found = index_.Find(need, rack, excluded_, board_.free());
  if (found < 0 && need.gpus > 1 && board_.nodes().any_islands()) {
    need.island_gpus = 0;
    found = index_.Find(need, rack, excluded_, board_.free());
  }
  return found;
}

void RolePlacer::Take(int position, int64_t ranks) {
  const int node = index_.node(position);
  parts_.push_back({role_number_, ranks, board_.TakeRanks(node, role_, ranks)});
  // It may have room for more, and still takes none.
  if (role_.most_per_node < role_.ranks) {
    excluded_.insert(std::lower_bound(excluded_.begin(), excluded_.end(), node), node);
  }
}

void RolePlacer::GoBack(const Point& before) {
  board_.UndoTo(before.mark);
  parts_.resize(before.parts);
  excluded_ = before.excluded;
}

bool RolePlacer::HoldsThisRole(int node) const {
  return std::any_of(parts_.begin(), parts_.end(), [&](const GangPart& part) {
    return part.role == role_number_ && part.share.node == node;
  });
}

bool RolePlacer::PlaceOnOne(int64_t ranks) {
  if (ranks > role_.most_per_node) return false;
  const int position = FindHost(ranks, kAllRacks);
  if (position < 0) return false;
  Take(position, ranks);
  return true;
}

int RolePlacer::FewestHosts(int64_t ranks, int rack, int limit) const {
  const int64_t each = role_.per_rank.gpus;
  int hosts = 0;
  for (int gpus = index_.most_gpus(); gpus >= each; --gpus) {
    const int count = rack == kAllRacks ? index_.Count(gpus) : index_.Count(rack, gpus);
    if (count == 0) continue;
    const int64_t of_one = std::min({role_.most_per_node, each > 0 ? gpus / each : ranks, ranks});
    const int64_t wanted = (ranks + of_one - 1) / of_one;
    // Those that follow hold no more each.
    if (hosts + wanted > limit) return kNoHosts;
    if (wanted <= count) return hosts + static_cast<int>(wanted);
    hosts += count;
    ranks -= of_one * count;
  }
  return kNoHosts;
}

std::span<const NodeIndex::RackRoom> RolePlacer::RacksByRoom() {
  return role_.per_rank.gpus > 0 ? index_.RacksByFreeGpus() : index_.RacksBySize();
}

bool RolePlacer::PlaceInOneRack(int64_t ranks, int hosts) {
  const auto& racks = index_.racks();
  if (racks.size() < 2) return false;
  const auto by_room = RacksByRoom();
  const NodeIndex::RackRoom least{ranks * role_.per_rank.gpus, 0};
  int tried = 0;
  for (auto fit = std::lower_bound(by_room.begin(), by_room.end(), least);
       fit != by_room.end() && tried < kMostRacksTried; ++fit) {
    const int rack = fit->rack;
    if (racks[rack].end - racks[rack].begin < hosts) continue;
    if (FewestHosts(ranks, rack, hosts) == kNoHosts) continue;
    if (PlaceWithin({&rack, 1}, ranks, hosts)) return true;
    ++tried;
  }
  return false;
}

bool RolePlacer::PlaceAnywhere(int64_t ranks) {
  const auto& racks = index_.racks();
  if (racks.size() < 2 || racks.size() > kMostRacksOrdered) {
    return PlaceWithin({&kAllRacks, 1}, ranks, kNoHosts);
  }
  // The emptiest first; of equal ones the first.
  const auto by_room = RacksByRoom();
  std::vector<int> order;
  order.reserve(by_room.size());
  for (size_t end = by_room.size(); end > 0;) {
    size_t begin = end - 1;
    while (begin > 0 && by_room[begin - 1].room == by_room[end - 1].room) --begin;
    if (by_room[begin].room < role_.per_rank.gpus) break;
    for (size_t i = begin; i < end; ++i) order.push_back(by_room[i].rack);
    end = begin;
  }
  return PlaceWithin(order, ranks, kNoHosts);
}

bool RolePlacer::PlaceWithoutGpus(int64_t ranks) {
  const Point before = Now();
  if (!PlaceAnywhere(ranks)) return false;
  const int hosts = static_cast<int>(parts_.size() - before.parts);
  const int rack = index_.rack_of(index_.position(parts_[before.parts].share.node));
  const bool together = std::all_of(
      parts_.begin() + static_cast<int64_t>(before.parts), parts_.end(), [&](const GangPart& part) {
        return index_.rack_of(index_.position(part.share.node)) == rack;
      });
  if (together) return true;
  GoBack(before);
  return PlaceInOneRack(ranks, hosts) || PlaceAnywhere(ranks);
}

int64_t RolePlacer::MostOnOne(int64_t ranks) const {
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

bool RolePlacer::PlaceWithin(std::span<const int> racks, int64_t ranks, int most_hosts) {
  const Point before = Now();
  int hosts = 0;
  for (int64_t on_one = MostOnOne(ranks); on_one > 0 && ranks > 0 && hosts < most_hosts;
       on_one = std::min(on_one - 1, MostOnOne(ranks))) {
    for (const int rack : racks) {
      while (ranks > 0 && hosts < most_hosts) {
        const int64_t now = std::min(on_one, ranks);
        if (rack != kAllRacks && index_.FreeOfRack(rack) < now * role_.per_rank.gpus) break;
        const int position = FindHost(now, rack);
        if (position < 0) break;
        Take(position, now);
        ranks -= now;
        ++hosts;
      }
    }
  }
  if (ranks == 0) return true;
  GoBack(before);
  return false;
}

}  // namespace tanren::coordinator
