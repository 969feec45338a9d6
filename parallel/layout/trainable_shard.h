// This rank's part of one group of trainable parameters, as the optimizer sees it.
#ifndef TANREN_PARALLEL_LAYOUT_TRAINABLE_SHARD_H_
#define TANREN_PARALLEL_LAYOUT_TRAINABLE_SHARD_H_

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "parallel/layout/shard_layout.h"

namespace tanren::parallel {

struct TrainableShard {
  std::string group;                  // names it in messages, such as "model.layers.3"
  at::Tensor master;                  // [shard_numel] fp32
  at::Tensor gradient;                // [shard_numel] fp32; padding is zero
  std::vector<ElementRange> decayed;  // where weight decay applies: ascending, disjoint
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_LAYOUT_TRAINABLE_SHARD_H_
