// What the forward and the backward pass of attention share: sizes, packed keys and values, and the
// scores of one block.
#ifndef TANREN_RUNTIME_KERNELS_CPU_ATTENTION_BLOCK_H_
#define TANREN_RUNTIME_KERNELS_CPU_ATTENTION_BLOCK_H_

#include "runtime/kernels/cpu/attention.h"
#include "runtime/kernels/cpu/operands.h"

namespace tanren::kernels::TANREN_ISA {

// Keys in a block: a multiple of the tile, both ways.
constexpr int64_t kKeyBlock = kTileColumns > 32 ? 192 : 96;
constexpr int64_t kScoreStride = kKeyBlock + 16;
static_assert(kKeyBlock % kTileColumns == 0 && kKeyBlock % kTileRows == 0);

struct AttentionSizes {
  explicit AttentionSizes(const AttentionTask& task)
      : depth(task.head_size),
        columns(RoundUp(task.head_size, kTileColumns)),
        positions(AttentionBlock(task.group)),
        rows(RoundUp(positions * task.group, kTileRows)),
        row_stride(SlotsOf(columns) + 16),
        keys(task.first_position + task.query_count),
        key_blocks((keys + kKeyBlock - 1) / kKeyBlock) {}
  int64_t depth;       // of a score's sum
  int64_t columns;     // head size padded to whole tiles
  int64_t positions;   // tokens in a block of queries
  int64_t rows;        // their rows, padded to whole tiles
  int64_t row_stride;  // of packed query rows, in slots
  int64_t keys, key_blocks;
  // Slots of a packed block of keys or values, along either.
  int64_t packed() const { return SlotsOf(kKeyBlock) * RoundUp(columns, kSlotElements); }
};

template <typename T>
TANREN_INLINE const T* At(const void* data, int64_t index) {
  return static_cast<const T*>(data) + index;
}

// What scores of packed queries are still to be multiplied by.
TANREN_INLINE float ScoreScale(const AttentionTask& task) {
  return kScalesQueries ? 1.0f : task.scale;
}

// Rows (token, head of the group) of `tokens` tokens, times `scale` where queries are scaled;
// padding rows are zero.
template <typename T>
void PackQueryRows(const T* from, int64_t stride, int64_t tokens, int64_t group,
                   const AttentionSizes& sizes, float scale, Slot* to) {
  const int64_t depth = sizes.depth, rows = tokens * group;
  for (int64_t row = 0; row < rows; ++row) {
    Slot* const out = to + row * sizes.row_stride;
    PackLeftRow(from + row / group * stride + row % group * depth, depth, out);
    if constexpr (kScalesQueries) {
      for (int64_t i = 0; i < depth; ++i) out[i] *= scale;
    }
  }
  for (int64_t row = rows; row < RoundUp(rows, kTileRows); ++row) {
    Zero(to + row * sizes.row_stride, SlotsOf(depth));
  }
}

// scores[rows, keys] = queries · keysᵀ for one packed block of keys.
inline void Scores(const Slot* query_rows, int64_t rows, const Slot* packed_keys, int64_t keys,
                   const AttentionSizes& sizes, float* scores) {
  const int64_t steps = SlotsOf(sizes.depth);
  for (int64_t j = 0; j < keys; j += kTileColumns) {
    for (int64_t i = 0; i < rows; i += kTileRows) {
      MultiplyTile(steps, query_rows + i * sizes.row_stride, sizes.row_stride, 1,
                   packed_keys + j * steps, scores + i * kScoreStride + j, kScoreStride, false);
    }
  }
}

// sums[rows, columns] += weights · right, for one packed block with `stored` rows.
inline void AddWeighted(const Slot* weights, int64_t rows, int64_t keys, const Slot* right,
                        int64_t stored, const AttentionSizes& sizes, float* sums) {
  for (int64_t j = 0; j < sizes.columns; j += kTileColumns) {
    for (int64_t i = 0; i < rows; i += kTileRows) {
      MultiplyTile(SlotsOf(keys), weights + i * kScoreStride, kScoreStride, 1,
                   right + j * SlotsOf(stored), sums + i * sizes.columns + j, sizes.columns, true);
    }
  }
}

// Scores become weights in their own place, an element narrower or as wide: those up to `visible`
// as `weight` says of a vector of scores and its index, then zeros up to the end of the tile that
// `keys` end in.
template <typename WeightOf>
TANREN_INLINE void ReplaceByWeights(float* scores, int64_t visible, int64_t keys,
                                    const WeightOf& weight) {
  auto* const weights = reinterpret_cast<Weight*>(scores);
  const int64_t whole = RoundUp(visible, kLanes), end = RoundUp(keys, kTileRows);
  for (int64_t j = 0; j < whole; j += kLanes) Store(weights + j, weight(Load(scores + j), j));
  for (int64_t j = whole; j < end; ++j) weights[j] = {};
}

// How many of a block's keys a row at `position` sees.
TANREN_INLINE int64_t Visible(int64_t position, int64_t first_key, int64_t keys) {
  const int64_t seen = position + 1 - first_key;
  return seen < 0 ? 0 : Least(seen, keys);
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_ATTENTION_BLOCK_H_
