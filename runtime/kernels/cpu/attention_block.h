// What the forward and the backward pass of attention share: sizes, packed keys and values, and the
// scores of one block.
#ifndef TANREN_RUNTIME_KERNELS_CPU_ATTENTION_BLOCK_H_
#define TANREN_RUNTIME_KERNELS_CPU_ATTENTION_BLOCK_H_

#include "runtime/kernels/cpu/attention.h"
#include "runtime/kernels/cpu/pack.h"

namespace tanren::kernels::TANREN_ISA {

// Keys in a block: a multiple of every instruction set's tile, both ways.
constexpr int64_t kKeyBlock = 96;
constexpr int64_t kScoreStride = kKeyBlock + 16;
static_assert(kKeyBlock % kTileColumns == 0 && kKeyBlock % kTileRows == 0);

TANREN_INLINE int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }
TANREN_INLINE int64_t RoundUp(int64_t a, int64_t unit) { return (a + unit - 1) / unit * unit; }

struct AttentionSizes {
  explicit AttentionSizes(const AttentionTask& task)
      : depth(task.head_size),
        columns(RoundUp(task.head_size, kTileColumns)),
        positions(AttentionBlock(task.group)),
        rows(RoundUp(positions * task.group, kTileRows)),
        row_stride(columns + 16),
        keys(task.first_position + task.query_count),
        key_blocks((keys + kKeyBlock - 1) / kKeyBlock) {}
  int64_t depth;       // of a score's sum
  int64_t columns;     // head size padded to whole tiles
  int64_t positions;   // tokens in a block of queries
  int64_t rows;        // their rows, padded to whole tiles
  int64_t row_stride;  // of packed query rows
  int64_t keys, key_blocks;
  int64_t packed() const { return kKeyBlock * columns; }  // floats of a packed block of keys
};

template <typename T>
TANREN_INLINE const T* At(const void* data, int64_t index) {
  return static_cast<const T*>(data) + index;
}

// Rows (token, head of the group) of `tokens` tokens, each value times `scale`; padding rows are
// zero.
template <typename T>
void PackQueryRows(const T* from, int64_t stride, int64_t tokens, int64_t group,
                   const AttentionSizes& sizes, float scale, float* to) {
  const int64_t depth = sizes.depth, rows = tokens * group;
  for (int64_t row = 0; row < rows; ++row) {
    float* out = to + row * sizes.row_stride;
    CopyWidened(from + row / group * stride + row % group * depth, depth, out);
    for (int64_t i = 0; i < depth; ++i) out[i] *= scale;
  }
  for (int64_t row = rows; row < RoundUp(rows, kTileRows); ++row) {
    Zero(to + row * sizes.row_stride, depth);
  }
}

// scores[rows, keys] = queries · keysᵀ for one packed block of keys.
inline void Scores(const float* query_rows, int64_t rows, const float* packed_keys, int64_t keys,
                   const AttentionSizes& sizes, float* scores) {
  for (int64_t j = 0; j < keys; j += kTileColumns) {
    for (int64_t i = 0; i < rows; i += kTileRows) {
      MultiplyTile(sizes.depth, query_rows + i * sizes.row_stride, sizes.row_stride, 1,
                   packed_keys + j * sizes.depth, scores + i * kScoreStride + j, kScoreStride,
                   false);
    }
  }
}

// How many of a block's keys a row at `position` sees.
TANREN_INLINE int64_t Visible(int64_t position, int64_t first_key, int64_t keys) {
  const int64_t seen = position + 1 - first_key;
  return seen < 0 ? 0 : Least(seen, keys);
}

}  // namespace tanren::kernels::TANREN_ISA

#endif  // TANREN_RUNTIME_KERNELS_CPU_ATTENTION_BLOCK_H_
