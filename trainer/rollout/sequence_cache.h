// Keys and values of several sequences that are generated side by side, each contiguous and growing
// on its own.
#ifndef TANREN_TRAINER_ROLLOUT_SEQUENCE_CACHE_H_
#define TANREN_TRAINER_ROLLOUT_SEQUENCE_CACHE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/engine/unit.h"

namespace tanren::trainer {

class SequenceCache final : public parallel::KeyValueCache {
 public:
  // Sequences are named by slots 0 … slots − 1; all start empty.
  SequenceCache(int layers, int slots);

  // Which sequences the next forward pass continues, and with how many tokens each: its tokens are
  // those of slots[0], then of slots[1], …
  void Select(std::vector<int> slots, std::vector<int64_t> new_tokens);
  // Forgets a sequence; its slot may be used again.
  void Clear(int slot);
  // Tokens stored after the last complete pass.
  int64_t length(int slot) const { return lengths_[slot]; }
  // To be called after a pass through all layers.
  void Advance();

  at::Tensor Attend(int layer, const at::Tensor& queries, const at::Tensor& keys,
                    const at::Tensor& values, double scale) override;

 private:
  // [K, capacity, d]: a head's keys are read in one run.
  struct Stored {
    at::Tensor keys, values;
  };
  void Append(Stored& stored, int64_t length, const at::Tensor& keys, const at::Tensor& values);

  std::vector<std::vector<Stored>> stored_;  // by layer, by slot
  std::vector<int64_t> lengths_;             // by slot
  std::vector<int> selected_;
  std::vector<int64_t> new_tokens_;
  at::Tensor offsets_;      // of the new tokens, [sequences + 1] int64
  bool all_start_ = false;  // none of the selected sequences has stored tokens
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_SEQUENCE_CACHE_H_
