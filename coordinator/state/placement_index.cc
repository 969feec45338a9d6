#include "coordinator/state/placement_index.h"

#include <algorithm>
#include <bit>

namespace tanren::coordinator {

NodeIndex::NodeIndex(const NodeTable& nodes, std::vector<int> members,
                     const std::vector<NodeFree>& free)
    : members_(std::move(members)), position_(nodes.size(), -1) {
  int most = 0;
  for (int node : members_) most = std::max(most, std::popcount(nodes[node].gpus));
  buckets_ = most + 1;
  words_ = (size() + 63) / 64;
  table_.resize(static_cast<size_t>(buckets_) * words_);
  counts_.resize(buckets_);
  rack_of_.resize(size());
  int last_rack = -1;
  for (int position = 0; position < size(); ++position) {
    const int rack = nodes[members_[position]].rack;
    if (rack != last_rack) racks_.push_back({position, position});
    last_rack = rack;
    racks_.back().end = position + 1;
    rack_of_[position] = static_cast<int>(racks_.size()) - 1;
  }
  rack_counts_.resize(racks_.size() * buckets_);
  rack_free_.resize(racks_.size());
  for (int position = 0; position < size(); ++position) {
    position_[members_[position]] = position;
    Add(position, free[members_[position]]);
  }
}

void NodeIndex::Add(int position, const NodeFree& free) {
  Word& word = table_[free.gpu_count * words_ + position / 64];
  word.members |= uint64_t{1} << (position % 64);
  word.cpu_millis = std::max(word.cpu_millis, free.cpu_millis);
  word.memory_bytes = std::max(word.memory_bytes, free.memory_bytes);
  word.island_gpus = std::max(word.island_gpus, free.island_gpus);
  most_.cpu_millis = std::max(most_.cpu_millis, free.cpu_millis);
  most_.memory_bytes = std::max(most_.memory_bytes, free.memory_bytes);
  ++changes_since_most_;
  ++counts_[free.gpu_count];
  ++rack_counts_[rack_of_[position] * buckets_ + free.gpu_count];
  rack_free_[rack_of_[position]] += free.gpu_count;
}

void NodeIndex::Tighten(Word& word, int first_position, const std::vector<NodeFree>& free) {
  word.cpu_millis = word.memory_bytes = word.island_gpus = -1;
  for (uint64_t left = word.members; left != 0; left &= left - 1) {
    const NodeFree& one = free[members_[first_position + std::countr_zero(left)]];
    word.cpu_millis = std::max(word.cpu_millis, one.cpu_millis);
    word.memory_bytes = std::max(word.memory_bytes, one.memory_bytes);
    word.island_gpus = std::max(word.island_gpus, one.island_gpus);
  }
}

void NodeIndex::Changed(int node, const NodeFree& before, const std::vector<NodeFree>& free) {
  const int position = position_[node];
  if (position < 0) return;
  Word& old = table_[before.gpu_count * words_ + position / 64];
  old.members &= ~(uint64_t{1} << (position % 64));
  --counts_[before.gpu_count];
  --rack_counts_[rack_of_[position] * buckets_ + before.gpu_count];
  rack_free_[rack_of_[position]] -= before.gpu_count;
  if (old.members == 0) old = Word();
  Add(position, free[node]);
  const int rack = rack_of_[position];
  if (!racks_by_free_.empty() && !is_moved_[rack]) {
    is_moved_[rack] = true;
    moved_racks_.push_back(rack);
  }
}

std::span<const NodeIndex::RackRoom> NodeIndex::RacksByFreeGpus() {
  if (racks_by_free_.empty()) {
    for (int rack = 0; rack < static_cast<int>(racks_.size()); ++rack) {
      racks_by_free_.push_back({rack_free_[rack], rack});
    }
    std::sort(racks_by_free_.begin(), racks_by_free_.end());
    room_in_order_ = rack_free_;
    is_moved_.assign(racks_.size(), false);
  }
  for (const int rack : moved_racks_) PlaceAnew(rack);
  moved_racks_.clear();
  return racks_by_free_;
}

void NodeIndex::PlaceAnew(int rack) {
  is_moved_[rack] = false;
  const RackRoom before{room_in_order_[rack], rack};
  const RackRoom now{rack_free_[rack], rack};
  if (before == now) return;
  const auto begin = racks_by_free_.begin(), end = racks_by_free_.end();
  const auto from = std::lower_bound(begin, end, before);
  const auto to = std::lower_bound(begin, end, now);
  *from = now;
  if (to <= from) {
    std::rotate(to, from, from + 1);
  } else {
    std::rotate(from, from + 1, to);
  }
  room_in_order_[rack] = now.room;
}

std::span<const NodeIndex::RackRoom> NodeIndex::RacksBySize() {
  if (racks_by_size_.empty()) {
    for (int rack = 0; rack < static_cast<int>(racks_.size()); ++rack) {
      racks_by_size_.push_back({racks_[rack].end - racks_[rack].begin, rack});
    }
    std::sort(racks_by_size_.begin(), racks_by_size_.end());
  }
  return racks_by_size_;
}

int NodeIndex::FindInBucket(Word* words, const NodeNeed& need, int begin, int end,
                            std::span<const int> excluded, const std::vector<NodeFree>& free) {
  for (int w = begin / 64; w * 64 < end; ++w) {
    Word& word = words[w];
    if (word.members == 0 || word.cpu_millis < need.cpu_millis ||
        word.memory_bytes < need.memory_bytes || word.island_gpus < need.island_gpus) {
      continue;
    }
    uint64_t left = word.members;
    if (w * 64 < begin) left &= ~uint64_t{0} << (begin - w * 64);
    if (end - w * 64 < 64) left &= (uint64_t{1} << (end - w * 64)) - 1;
    bool any_fits = left == 0;
    for (; left != 0; left &= left - 1) {
      const int position = w * 64 + std::countr_zero(left);
      const NodeFree& one = free[members_[position]];
      if (one.cpu_millis < need.cpu_millis || one.memory_bytes < need.memory_bytes ||
          one.island_gpus < need.island_gpus) {
        continue;
      }
      any_fits = true;
      if (!excluded.empty() &&
          std::binary_search(excluded.begin(), excluded.end(), members_[position])) {
        continue;
      }
      return position;
    }
    if (!any_fits) Tighten(word, w * 64, free);
  }
  return -1;
}

int NodeIndex::Find(const NodeNeed& need, int rack, std::span<const int> excluded,
                    const std::vector<NodeFree>& free) {
  const int begin = rack < 0 ? 0 : racks_[rack].begin;
  const int end = rack < 0 ? size() : racks_[rack].end;
  for (int64_t gpus = need.gpus; gpus < buckets_; ++gpus) {
    if ((rack < 0 ? counts_[gpus] : rack_counts_[rack * buckets_ + gpus]) == 0) continue;
    const int found = FindInBucket(&table_[gpus * words_], need, begin, end, excluded, free);
    if (found >= 0) return found;
  }
  return -1;
}

const NodeIndex::Word& NodeIndex::FreshMost() {
  // Between these it only grows: too high a bound costs a few vain looks, a count of all more.
  constexpr int kChangesBetweenCounts = 64;
  if (changes_since_most_ < kChangesBetweenCounts) return most_;
  changes_since_most_ = 0;
  most_ = Word();
  for (const Word& word : table_) {
    if (word.members == 0) continue;
    most_.cpu_millis = std::max(most_.cpu_millis, word.cpu_millis);
    most_.memory_bytes = std::max(most_.memory_bytes, word.memory_bytes);
  }
  return most_;
}

}  // namespace tanren::coordinator
