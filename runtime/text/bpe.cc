#include "runtime/text/bpe.h"

#include <algorithm>
#include <functional>

namespace tanren::text {
namespace {

constexpr uint32_t kNoMerge = UINT32_MAX;
constexpr size_t kShortWord = 48;  // bytes up to which a scan beats a queue

}  // namespace

BpeModel::BpeModel(const std::array<int32_t, 256>& byte_ids, const std::vector<BpeMerge>& merges,
                   const std::vector<std::pair<std::string_view, int32_t>>& whole_words,
                   const BpeOptions& options)
    : byte_ids_(byte_ids), options_(options) {
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const BpeMerge& merge = merges[rank];
    merges_[Key(merge.left, merge.right)] = {static_cast<uint32_t>(rank), merge.result};
  }
  if (!options_.ignore_merges) return;
  whole_words_.reserve(whole_words.size());
  for (const auto& [bytes, id] : whole_words) whole_words_.emplace(bytes, id);
}

const BpeModel::Target* BpeModel::Find(int32_t left, int32_t right) const {
  const auto found = merges_.find(Key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeModel::AppendBytes(std::string_view word, std::vector<BpeSymbol>* symbols) const {
  bool previous_unknown = false;
  for (uint32_t at = 0; at < word.size(); ++at) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(word[at])];
    if (id >= 0) {
      symbols->push_back({id, at, at + 1});
    } else if (options_.unknown_id) {
      if (previous_unknown && options_.fuse_unknown) {
        symbols->back().end = at + 1;
      } else {
        symbols->push_back({*options_.unknown_id, at, at + 1});
      }
    }
    previous_unknown = id < 0;
  }
}

void BpeModel::Encode(std::string_view word, std::vector<BpeSymbol>* symbols) const {
  if (options_.ignore_merges) {
    const auto found = whole_words_.find(absl::string_view(word.data(), word.size()));
    if (found != whole_words_.end()) {
      symbols->push_back({found->second, 0, static_cast<uint32_t>(word.size())});
      return;
    }
  }
  const size_t first = symbols->size();
  AppendBytes(word, symbols);
  const size_t count = symbols->size() - first;
  if (count > kShortWord) {
    MergeLong(first, symbols);
  } else if (count > 1) {
    MergeShort(first, symbols);
  }
}

void BpeModel::MergeShort(size_t first, std::vector<BpeSymbol>* symbols) const {
  BpeSymbol* word = symbols->data() + first;
  size_t count = symbols->size() - first;
  Target pairs[kShortWord];  // pairs[i]: what the symbols i and i + 1 become
  const auto look_up = [&](size_t i) {
    const Target* target = Find(word[i].id, word[i + 1].id);
    pairs[i] = target != nullptr ? *target : Target{kNoMerge, 0};
  };
  for (size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNoMerge) break;
    word[best].id = pairs[best].result;
    word[best].end = word[best + 1].end;
    std::copy(word + best + 2, word + count, word + best + 1);
    --count;
    if (best + 1 < count) {
      std::copy(pairs + best + 2, pairs + count, pairs + best + 1);
      look_up(best);
    }
    if (best > 0) look_up(best - 1);
  }
  symbols->resize(first + count);
}

void BpeModel::MergeLong(size_t first, std::vector<BpeSymbol>* symbols) const {
  // Symbols stay where they are, linked in a list; one that was joined to its left has id -1.
  BpeSymbol* word = symbols->data() + first;
  const auto count = static_cast<uint32_t>(symbols->size() - first);
  std::vector<uint32_t> next(count), previous(count);
  for (uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;  // wraps for the first, which is never asked
  }
  const auto target_at = [&](uint32_t left) -> const Target* {
    return next[left] < count ? Find(word[left].id, word[next[left]].id) : nullptr;
  };
  // What may be joined: the rank of a pair and the index of its left symbol, in one number, of
  // which the least comes first.
  std::vector<uint64_t> heap;
  const auto add = [&](uint32_t left) {
    const Target* target = target_at(left);
    if (target != nullptr) heap.push_back(uint64_t{target->rank} << 32 | left);
    return target != nullptr;
  };
  heap.reserve(count);
  for (uint32_t i = 0; i + 1 < count; ++i) add(i);
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const auto left = static_cast<uint32_t>(heap.back());
    const auto rank = static_cast<uint32_t>(heap.back() >> 32);
    heap.pop_back();
    // The pair may be another one by now; then it has been added under its own rank.
    const Target* target = word[left].id >= 0 ? target_at(left) : nullptr;
    if (target == nullptr || target->rank != rank) continue;
    const uint32_t right = next[left];
    word[left].id = target->result;
    word[left].end = word[right].end;
    word[right].id = -1;
    next[left] = next[right];
    if (next[right] < count) previous[next[right]] = left;
    if (add(left)) std::push_heap(heap.begin(), heap.end(), std::greater<>());
    if (left > 0 && add(previous[left])) std::push_heap(heap.begin(), heap.end(), std::greater<>());
  }
  const auto joined = [](const BpeSymbol& symbol) { return symbol.id < 0; };
  symbols->erase(
      std::remove_if(symbols->begin() + static_cast<ptrdiff_t>(first), symbols->end(), joined),
      symbols->end());
}

}  // namespace tanren::text
