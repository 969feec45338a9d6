#include "coordinator/state/schedule_preemption.h"

#include <algorithm>
#include <tuple>

namespace tanren::coordinator {
namespace {

using LossOrder = std::tuple<int64_t, int32_t, int64_t, int64_t>;

LossOrder Order(const RunningJob& one) {
  return {one.unsaved_gpu_ms(), one.job->spec().priority(), -one.job->attempt().placed_ms(),
          -static_cast<int64_t>(one.job->id())};
}

constexpr int kMostTriedAlone = 32;

class VictimSearch {
 public:
  VictimSearch(const std::vector<RunningJob>& running, const std::vector<int>& by_loss,
               const Job& job, const Shape& shape, const absl::flat_hash_set<int>& spared,
               Board& board)
      : running_(running), shape_(shape), board_(board) {
    for (int i : by_loss) {
      const bool is_lower = running[i].job->spec().priority() < job.spec().priority();
      if (is_lower && !spared.contains(i)) candidates_.push_back(i);
    }
  }

  std::vector<int> Find() {
    if (candidates_.empty()) return {};
    std::vector<int> best = Spare(OnOneHost());
    for (const std::vector<int>& other : {Spare(Anywhere()), Alone()}) {
      if (best.empty() || (!other.empty() && Loss(other) < Loss(best))) best = other;
    }
    return best;
  }

 private:
  int64_t Loss(const std::vector<int>& victims) const {
    int64_t loss = 0;
    for (int victim : victims) loss += running_[victim].unsaved_gpu_ms();
    return loss;
  }

  bool Fits(const std::vector<int>& victims, int without, std::vector<GangPart>& parts) {
    const size_t mark = board_.Mark();
    for (int victim : victims) {
      if (victim == without) continue;
      for (const NodeShare& share : running_[victim].shares()) board_.Give(share);
    }
    const bool fits = PlaceGang(shape_, board_, parts);
    board_.UndoTo(mark);
    return fits;
  }

  // The cheapest jobs of the whole cluster, until it fits.
  std::vector<int> Anywhere() {
    std::vector<Release> releases;
    releases.reserve(candidates_.size());
    for (int victim : candidates_) releases.push_back({0, 0, &running_[victim], {}});
    std::vector<GangPart> parts;
    const size_t mark = board_.Mark();
    const int count = ReleaseUntilPlaced(releases, 0, shape_, board_, parts);
    board_.UndoTo(mark);
    if (count <= 0) return {};
    return OfNodes({candidates_.begin(), candidates_.begin() + count}, parts);
  }

  // The cheapest that makes room enough by itself: a gang over several nodes may lose less than the
  // many small jobs that would have to go in its place.
  std::vector<int> Alone() {
    int64_t missing = shape_.total.gpus;
    const NodeIndex& index = board_.IndexOf(shape_);
    for (int rack = 0; rack < static_cast<int>(index.racks().size()); ++rack) {
      missing -= index.FreeOfRack(rack);
    }
    std::vector<GangPart> parts;
    int tried = 0;
    for (int victim : candidates_) {
      int64_t gpus = 0;
      for (const NodeShare& share : running_[victim].shares()) gpus += share.amount.gpus;
      if (gpus < missing) continue;
      if (Fits({victim}, -1, parts)) return {victim};
      if (++tried == kMostTriedAlone) break;
    }
    return {};
  }

  // Those of `victims` that are on a node of the placement: the others made no room for it.
  std::vector<int> OfNodes(const std::vector<int>& victims, const std::vector<GangPart>& parts) {
    absl::flat_hash_set<int> nodes;
    for (const GangPart& part : parts) nodes.insert(part.share.node);
    std::vector<int> kept;
    for (int victim : victims) {
      const auto shares = running_[victim].shares();
      if (std::any_of(shares.begin(), shares.end(),
                      [&](const NodeShare& share) { return nodes.contains(share.node); })) {
        kept.push_back(victim);
      }
    }
    return kept;
  }

  // The node where the cheapest jobs that make room for the whole gang lose the least.
  std::vector<int> OnOneHost() {
    for (const RoleShape& role : shape_.roles) {
      if (role.ranks > role.most_per_node) return {};
    }
    std::vector<std::pair<int, int>> by_node;  // node, place among the candidates
    for (int place = 0; place < static_cast<int>(candidates_.size()); ++place) {
      for (const NodeShare& share : running_[candidates_[place]].shares()) {
        by_node.emplace_back(share.node, place);
      }
    }
    std::sort(by_node.begin(), by_node.end());
    by_node.erase(std::unique(by_node.begin(), by_node.end()), by_node.end());
    const NodeIndex& index = board_.IndexOf(shape_);
    std::vector<int> best;
    for (size_t first = 0; first < by_node.size();) {
      const int node = by_node[first].first;
      size_t end = first;
      while (end < by_node.size() && by_node[end].first == node) ++end;
      if (index.position(node) >= 0 &&
          !std::binary_search(shape_.excluded.begin(), shape_.excluded.end(), node)) {
        std::vector<int> victims = OnNode(node, by_node, first, end);
        if (!victims.empty() && (best.empty() || Loss(victims) < Loss(best))) best = victims;
      }
      first = end;
    }
    return best;
  }

  std::vector<int> OnNode(int node, const std::vector<std::pair<int, int>>& by_node, size_t first,
                          size_t end) const {
    const NodeFree& free = board_.free()[node];
    Amount room{free.gpu_count, free.cpu_millis, free.memory_bytes};
    std::vector<int> victims;
    const auto enough = [&](const Amount& amount) {
      return amount.gpus >= shape_.total.gpus && amount.cpu_millis >= shape_.total.cpu_millis &&
             amount.memory_bytes >= shape_.total.memory_bytes;
    };
    for (size_t i = first; i < end && !enough(room); ++i) {
      victims.push_back(candidates_[by_node[i].second]);
      room += OfNode(victims.back(), node);
    }
    if (!enough(room)) return {};
    for (size_t i = victims.size(); i-- > 0;) {
      Amount without = room;
      without += OfNode(victims[i], node) * -1;
      if (!enough(without)) continue;
      room = without;
      victims.erase(victims.begin() + static_cast<int64_t>(i));
    }
    return victims;
  }

  Amount OfNode(int victim, int node) const {
    Amount amount;
    for (const NodeShare& share : running_[victim].shares()) {
      if (share.node == node) amount += share.amount;
    }
    return amount;
  }

  // Leaves out whom it can, those that would lose the most first.
  std::vector<int> Spare(std::vector<int> victims) {
    std::vector<GangPart> parts;
    if (victims.empty() || !Fits(victims, -1, parts)) return {};
    victims = OfNodes(victims, parts);
    std::sort(victims.begin(), victims.end(),
              [&](int a, int b) { return Order(running_[a]) < Order(running_[b]); });
    for (size_t i = victims.size(); i-- > 0;) {
      if (Fits(victims, victims[i], parts))
        victims.erase(victims.begin() + static_cast<int64_t>(i));
    }
    return victims;
  }

  const std::vector<RunningJob>& running_;
  const Shape& shape_;
  Board& board_;
  std::vector<int> candidates_;
};

}  // namespace

std::vector<int> ByLoss(const std::vector<RunningJob>& running) {
  std::vector<std::pair<LossOrder, int>> ordered;
  for (int i = 0; i < static_cast<int>(running.size()); ++i) {
    if (running[i].may_be_stopped) ordered.emplace_back(Order(running[i]), i);
  }
  std::sort(ordered.begin(), ordered.end());
  std::vector<int> by_loss;
  by_loss.reserve(ordered.size());
  for (const auto& [order, i] : ordered) by_loss.push_back(i);
  return by_loss;
}

std::vector<int> ChooseVictims(const std::vector<RunningJob>& running,
                               const std::vector<int>& by_loss, const Job& job, const Shape& shape,
                               const absl::flat_hash_set<int>& spared, Board& board) {
  return VictimSearch(running, by_loss, job, shape, spared, board).Find();
}

}  // namespace tanren::coordinator
