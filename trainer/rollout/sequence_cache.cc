#include "trainer/rollout/sequence_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/kernels/attention.h"

namespace tanren::trainer {

SequenceCache::SequenceCache(int layers, int slots)
    : stored_(layers, std::vector<Stored>(slots)), lengths_(slots, 0) {}

void SequenceCache::Select(std::vector<int> slots, std::vector<int64_t> new_tokens) {
  TANREN_CHECK(slots.size() == new_tokens.size(), "{} slots, {} counts", slots.size(),
               new_tokens.size());
  selected_ = std::move(slots);
  new_tokens_ = std::move(new_tokens);
  offsets_ = at::zeros({static_cast<int64_t>(selected_.size()) + 1}, at::kLong);
  int64_t* offsets = offsets_.mutable_data_ptr<int64_t>();
  all_start_ = true;
  for (size_t i = 0; i < selected_.size(); ++i) {
    offsets[i + 1] = offsets[i] + new_tokens_[i];
    all_start_ = all_start_ && lengths_[selected_[i]] == 0;
  }
}

void SequenceCache::Clear(int slot) {
  lengths_[slot] = 0;
  for (std::vector<Stored>& layer : stored_) layer[slot] = {};
}

void SequenceCache::Advance() {
  for (size_t i = 0; i < selected_.size(); ++i) lengths_[selected_[i]] += new_tokens_[i];
  selected_.clear();
  new_tokens_.clear();
}

void SequenceCache::Append(Stored& stored, int64_t length, const at::Tensor& keys,
                           const at::Tensor& values) {
  const int64_t end = length + keys.size(0);
  if (!stored.keys.defined() || stored.keys.size(1) < end) {
    const int64_t capacity = std::max<int64_t>(end + 64, length * 2);
    const auto grow = [&](at::Tensor& old) {
      at::Tensor grown = at::empty({keys.size(1), capacity, keys.size(2)}, keys.options());
      if (length > 0) grown.narrow(1, 0, length).copy_(old.narrow(1, 0, length));
      old = std::move(grown);
    };
    grow(stored.keys);
    grow(stored.values);
  }
  stored.keys.narrow(1, length, keys.size(0)).copy_(keys.transpose(0, 1));
  stored.values.narrow(1, length, keys.size(0)).copy_(values.transpose(0, 1));
}

at::Tensor SequenceCache::Attend(int layer, const at::Tensor& queries, const at::Tensor& keys,
                                 const at::Tensor& values, double scale) {
  std::vector<kernels::CacheView> views;
  int64_t row = 0;
  for (size_t i = 0; i < selected_.size(); ++i) {
    const int64_t count = new_tokens_[i], length = lengths_[selected_[i]];
    Stored& stored = stored_[layer][selected_[i]];
    Append(stored, length, keys.narrow(0, row, count), values.narrow(0, row, count));
    views.push_back(
        {stored.keys.transpose(0, 1), stored.values.transpose(0, 1), row, count, length + count});
    row += count;
  }
  TANREN_CHECK(row == queries.size(0), "{} tokens were announced to the cache, {} came", row,
               queries.size(0));
  // Prompts: the same packed attention as in training, which is made for many queries.
  if (all_start_) return kernels::DocumentAttention(queries, keys, values, offsets_, scale);
  return kernels::DecodeAttention(queries, views, scale);
}

}  // namespace tanren::trainer
