#include "runtime/kernels/cpu/attention_block.h"
#include "runtime/kernels/cpu/attention_loops.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

constexpr float kInfinity = __builtin_inff();

struct RowState {
  float* max;    // largest score so far
  float* total;  // sum of exponentials of scores minus max
  float* sums;   // [rows, columns], values weighted by those
};

// One row of scores, times `scale`, becomes exponentials, zero beyond the `visible` first; earlier
// sums are rescaled to the new largest score.
void SoftmaxRow(float* scores, float scale, int64_t visible, int64_t keys, int64_t columns,
                float* max, float* total, float* sums) {
  const int64_t whole = RoundUp(visible, kLanes);
  for (int64_t j = visible; j < whole; ++j) scores[j] = -kInfinity;
  Vec largest = Splat(-kInfinity);
  for (int64_t j = 0; j < whole; j += kLanes) largest = Max(largest, Load(scores + j) * scale);
  const float new_max = Max(Max(largest, Splat(*max)));
  if (new_max > *max) {
    const float factor = Exp(Splat(*max - new_max))[0];
    for (int64_t j = 0; j < columns; j += kLanes) Store(sums + j, Load(sums + j) * factor);
    *total *= factor;
    *max = new_max;
  }
  Vec sum = {};
  ReplaceByWeights(scores, visible, keys, [&](Vec score, int64_t) {
    const Vec p = Exp(score * scale - *max);
    sum += p;
    return p;
  });
  *total += Sum(sum);
}

template <typename T>
void PackKeyBlock(const AttentionTask& task, const AttentionSizes& sizes, int64_t block, Slot* keys,
                  Slot* values) {
  const int64_t first = block * kKeyBlock, count = Least(kKeyBlock, sizes.keys - first);
  PackRightTransposed(At<T>(task.key, first * task.key_stride), task.key_stride, sizes.depth, count,
                      keys + block * sizes.packed());
  PackRight(At<T>(task.value, first * task.value_stride), task.value_stride, count, sizes.depth,
            values + block * sizes.packed());
}

template <typename T>
void WriteRows(const AttentionTask& task, const AttentionSizes& sizes, int64_t query, int64_t rows,
               const RowState& state) {
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t token = query + row / task.group, head = row % task.group;
    T* out = static_cast<T*>(task.out) + token * task.out_stride + head * sizes.depth;
    const float factor = 1 / state.total[row];
    const float* sums = state.sums + row * sizes.columns;
    int64_t j = 0;
    for (; j + kLanes <= sizes.depth; j += kLanes) Store(out + j, Load(sums + j) * factor);
    for (; j < sizes.depth; ++j) StoreOne(out + j, sums[j] * factor);
    if (task.log_sum_exp != nullptr) {
      task.log_sum_exp[token * task.log_sum_exp_stride + head] =
          state.max[row] + __builtin_logf(state.total[row]);
    }
  }
}

template <typename T>
void Forward(const AttentionTask& task, float* scratch) {
  const AttentionSizes sizes(task);
  auto* const keys = reinterpret_cast<Slot*>(scratch);
  Slot* const values = keys + sizes.key_blocks * sizes.packed();
  Slot* const query_rows = values + sizes.key_blocks * sizes.packed();
  auto* const scores = reinterpret_cast<float*>(query_rows + sizes.rows * sizes.row_stride);
  float* const sums = scores + sizes.rows * kScoreStride;
  float* const max = sums + sizes.rows * sizes.columns;
  const RowState state{max, max + sizes.rows, sums};
  int64_t packed = 0;
  for (int64_t query = 0; query < task.query_count; query += sizes.positions) {
    const int64_t tokens = Least(sizes.positions, task.query_count - query);
    const int64_t rows = tokens * task.group, position = task.first_position + query;
    PackQueryRows(At<T>(task.query, query * task.query_stride), task.query_stride, tokens,
                  task.group, sizes, task.scale, query_rows);
    Zero(sums, sizes.rows * sizes.columns);
    for (int64_t row = 0; row < rows; ++row) {
      state.max[row] = -kInfinity;
      state.total[row] = 0;
    }
    for (int64_t block = 0; block * kKeyBlock < position + tokens; ++block) {
      if (block == packed) PackKeyBlock<T>(task, sizes, packed++, keys, values);
      const int64_t first = block * kKeyBlock;
      const int64_t stored = Least(kKeyBlock, sizes.keys - first);
      const int64_t seen = Least(kKeyBlock, position + tokens - first);
      Scores(query_rows, rows, keys + block * sizes.packed(), seen, sizes, scores);
      for (int64_t row = 0; row < rows; ++row) {
        SoftmaxRow(scores + row * kScoreStride, ScoreScale(task),
                   Visible(position + row / task.group, first, seen), seen, sizes.columns,
                   state.max + row, state.total + row, sums + row * sizes.columns);
      }
      AddWeighted(reinterpret_cast<const Slot*>(scores), rows, seen,
                  values + block * sizes.packed(), stored, sizes, sums);
    }
    WriteRows<T>(task, sizes, query, rows, state);
  }
}

int64_t ScratchFloats(const AttentionTask& task) {
  const AttentionSizes sizes(task);
  return 2 * sizes.key_blocks * sizes.packed() +
         sizes.rows * (sizes.row_stride + kScoreStride + sizes.columns + 2) + 64;
}

}  // namespace

const AttentionKernel kAttentionForwardBf16 = {Forward<Bf16>, ScratchFloats};
#if !defined(__AVX512BF16__)  // there, operands would be rounded
const AttentionKernel kAttentionForward = {Forward<float>, ScratchFloats};
#endif

}  // namespace tanren::kernels::TANREN_ISA
