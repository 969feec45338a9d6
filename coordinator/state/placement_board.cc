#include "coordinator/state/placement_board.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace tanren::coordinator {
namespace {

// The lowest `count` bits of `bits`.
uint64_t Lowest(uint64_t bits, int64_t count) {
  if (count >= std::popcount(bits)) return bits;
  uint64_t chosen = 0;
  for (; count > 0; --count) {
    chosen |= bits & -bits;
    bits &= bits - 1;
  }
  return chosen;
}

void AppendLowest(uint64_t& bits, int64_t count, std::vector<int>& positions) {
  for (; count > 0 && bits != 0; --count, bits &= bits - 1) {
    positions.push_back(std::countr_zero(bits));
  }
}

constexpr NodeFree kUnlimited{
    ~uint64_t{0}, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::max(),
    std::numeric_limits<int64_t>::max() / 2, std::numeric_limits<int64_t>::max() / 2};

void SubtractFrom(NodeFree& limit, const Amount& amount) {
  limit.gpu_count -= static_cast<int32_t>(amount.gpus);
  limit.cpu_millis -= amount.cpu_millis;
  limit.memory_bytes -= amount.memory_bytes;
}

// Less than nothing is never free.
void RaiseToNothing(NodeFree& free) {
  free.gpu_count = std::max(free.gpu_count, 0);
  free.cpu_millis = std::max<int64_t>(free.cpu_millis, 0);
  free.memory_bytes = std::max<int64_t>(free.memory_bytes, 0);
}

void LowerTo(NodeFree& limit, const NodeFree& most) {
  limit.gpu_count = std::min(limit.gpu_count, most.gpu_count);
  limit.cpu_millis = std::min(limit.cpu_millis, most.cpu_millis);
  limit.memory_bytes = std::min(limit.memory_bytes, most.memory_bytes);
}

}  // namespace

std::vector<int> SelectGpus(uint64_t free, std::span<const uint64_t> islands, int64_t ranks,
                            int64_t each) {
  std::vector<int> positions;
  const int64_t wanted = ranks * each;
  positions.reserve(wanted);
  if (islands.empty()) {
    AppendLowest(free, wanted, positions);
    return positions;
  }
  std::vector<uint64_t> left;
  for (uint64_t island : islands) left.push_back(island & free);
  const auto size = [](uint64_t bits) { return static_cast<int64_t>(std::popcount(bits)); };
  std::stable_sort(left.begin(), left.end(),
                   [&](uint64_t a, uint64_t b) { return size(a) > size(b); });
  // The smallest that holds all of them, where one does.
  const auto holds_all = [&](uint64_t bits) { return size(bits) >= wanted; };
  const auto first_too_small = std::partition_point(left.begin(), left.end(), holds_all);
  if (first_too_small != left.begin()) {
    const int64_t smallest = size(*std::prev(first_too_small));
    for (uint64_t& island : left) {
      if (size(island) != smallest) continue;
      AppendLowest(island, wanted, positions);
      return positions;
    }
  }
  int64_t unplaced = ranks;
  for (uint64_t& island : left) {
    for (; unplaced > 0 && size(island) >= each; --unplaced) {
      AppendLowest(island, each, positions);
    }
  }
  for (uint64_t& island : left) {
    AppendLowest(island, wanted - static_cast<int64_t>(positions.size()), positions);
  }
  return positions;
}

Board::Board(const NodeTable& nodes, const ShapeTable& shapes, Fill fill)
    : nodes_(&nodes), shapes_(&shapes), usable_(nodes.size()), free_(nodes.size()) {
  for (int node = 0; node < nodes.size(); ++node) {
    usable_[node] = fill == Fill::kWholeFleet || nodes[node].usable;
    if (!usable_[node]) continue;
    free_[node] = fill == Fill::kFreeNow ? nodes.FreeNow(node) : nodes.Whole(node);
  }
}

NodeIndex& Board::IndexOf(const Shape& shape) {
  if (static_cast<int>(indices_.size()) <= shape.labels) indices_.resize(shape.labels + 1);
  std::optional<NodeIndex>& index = indices_[shape.labels];
  if (!index.has_value()) {
    std::vector<int> members;
    for (int node : shapes_->NodesWith(shape.labels)) {
      if (usable_[node]) members.push_back(node);
    }
    index.emplace(*nodes_, std::move(members), free_);
  }
  return *index;
}

void Board::Set(int node, const NodeFree& now) {
  const NodeFree before = free_[node];
  free_[node] = now;
  for (std::optional<NodeIndex>& index : indices_) {
    if (index.has_value()) index->Changed(node, before, free_);
  }
}

NodeFree Board::Effective(int node, const Limited& limited) const {
  NodeFree free = limited.unlimited;
  LowerTo(free, limited.for_all);
  LowerTo(free, limited.for_lasting);
  RaiseToNothing(free);
  free.island_gpus = std::min(nodes_->IslandGpus(node, free.gpus), free.gpu_count);
  return free;
}

Board::Limited* Board::Remember(int node) {
  auto limited = limited_.empty() ? limited_.end() : limited_.find(node);
  const bool is_limited = limited != limited_.end();
  undo_.push_back({node, is_limited, free_[node]});
  if (!is_limited) return nullptr;
  limited_undo_.push_back(limited->second);
  return &limited->second;
}

void Board::Subtract(int node, uint64_t gpus, const Amount& amount, bool lasting) {
  Limited* const limited = Remember(node);
  if (limited != nullptr) {
    limited->unlimited.gpus &= ~gpus;
    SubtractFrom(limited->unlimited, amount);
    SubtractFrom(limited->for_all, amount);
    if (lasting) SubtractFrom(limited->for_lasting, amount);
    Set(node, Effective(node, *limited));
    return;
  }
  NodeFree now = free_[node];
  now.gpus &= ~gpus;
  SubtractFrom(now, amount);
  RaiseToNothing(now);
  now.island_gpus = nodes_->IslandGpus(node, now.gpus);
  Set(node, now);
}

NodeShare Board::TakeRanks(int node, const RoleShape& role, int64_t ranks) {
  NodeShare share{node, 0, role.per_rank * ranks};
  if (share.amount.gpus > 0) {
    const std::span<const uint64_t> islands = nodes_->islands(node);
    if (islands.empty()) {
      share.gpus = Lowest(free_[node].gpus, share.amount.gpus);
    } else {
      for (int position : SelectGpus(free_[node].gpus, islands, ranks, role.per_rank.gpus)) {
        share.gpus |= uint64_t{1} << position;
      }
    }
  }
  Subtract(node, share.gpus, share.amount, true);
  return share;
}

void Board::Take(const NodeShare& share, bool lasting) {
  if (!usable_[share.node]) return;
  uint64_t gpus = share.gpus & free_[share.node].gpus;
  const int64_t missing = share.amount.gpus - std::popcount(gpus);
  if (missing > 0) gpus |= Lowest(free_[share.node].gpus & ~gpus, missing);
  Subtract(share.node, gpus, share.amount, lasting);
}

void Board::Give(const NodeShare& share) {
  if (!usable_[share.node]) return;
  const auto add = [&](NodeFree& free) {
    free.gpus |= share.gpus;
    free.gpu_count = std::popcount(free.gpus);
    free.cpu_millis += share.amount.cpu_millis;
    free.memory_bytes += share.amount.memory_bytes;
    free.island_gpus = nodes_->IslandGpus(share.node, free.gpus);
  };
  if (Limited* const limited = Remember(share.node)) {
    add(limited->unlimited);
    Set(share.node, Effective(share.node, *limited));
    return;
  }
  NodeFree now = free_[share.node];
  add(now);
  Set(share.node, now);
}

void Board::KeepBack(int node, const NodeFree& most, bool from_lasting_only) {
  if (!usable_[node]) return;
  auto [limited, fresh] = limited_.try_emplace(node, Limited{free_[node], kUnlimited, kUnlimited});
  NodeFree& limit = from_lasting_only ? limited->second.for_lasting : limited->second.for_all;
  LowerTo(limit, most);
  Set(node, Effective(node, limited->second));
}

void Board::UndoTo(size_t mark) {
  while (undo_.size() > mark) {
    const Undo& undo = undo_.back();
    if (undo.was_limited) {
      limited_[undo.node] = limited_undo_.back();
      limited_undo_.pop_back();
    }
    Set(undo.node, undo.before);
    undo_.pop_back();
  }
}

}  // namespace tanren::coordinator
