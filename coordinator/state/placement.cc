#include "coordinator/state/placement.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

namespace tanren::coordinator {
namespace {

bool PlaceOnOneHost(const Shape& shape, Board& board, std::vector<GangPart>& parts) {
  for (const RoleShape& role : shape.roles) {
    if (role.ranks > role.most_per_node) return false;
  }
  NodeIndex& index = board.IndexOf(shape);
  const Amount& total = shape.total;
  NodeNeed need{total.gpus, total.cpu_millis, total.memory_bytes, total.gpus};
  int position = index.Find(need, NodeIndex::kAllRacks, shape.excluded, board.free());
  if (position < 0) {
    need.island_gpus = 0;
    position = index.Find(need, NodeIndex::kAllRacks, shape.excluded, board.free());
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
