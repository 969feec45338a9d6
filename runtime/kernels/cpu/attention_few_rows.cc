// Attention of a few new tokens over many stored ones: every key and value is read once, in its
// order, and nothing is packed.
#include "runtime/kernels/cpu/attention_block.h"
#include "runtime/kernels/cpu/attention_loops.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

constexpr int64_t kRowsAtOnce = 4;

// scores[row] over kRows rows of queries and one key.
template <int kRows, typename T>
TANREN_INLINE void ScoreKey(const float* queries, int64_t stride, const T* key, int64_t depth,
                            float* scores, int64_t score_stride) {
  Vec sums[kRows] = {};
  int64_t i = 0;
  for (; i + kLanes <= depth; i += kLanes) {
    const Vec k = Load(key + i);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) sums[r] += k * Load(queries + r * stride + i);
  }
  for (int r = 0; r < kRows; ++r) {
    float sum = Sum(sums[r]);
    for (int64_t rest = i; rest < depth; ++rest)
      sum += ToFloat(key[rest]) * queries[r * stride + rest];
    scores[r * score_stride] = sum;
  }
}

// Scores become exponentials; returns their sum.
float SoftmaxRow(float* scores, int64_t keys) {
  const int64_t whole = RoundUp(keys, kLanes);
  for (int64_t j = keys; j < whole; ++j) scores[j] = -__builtin_inff();
  Vec largest = Splat(-__builtin_inff());
  for (int64_t j = 0; j < whole; j += kLanes) largest = Max(largest, Load(scores + j));
  const float max = Max(largest);
  Vec sum = {};
  for (int64_t j = 0; j < whole; j += kLanes) {
    const Vec p = Exp(Load(scores + j) - max);
    Store(scores + j, p);
    sum += p;
  }
  return Sum(sum);
}

template <typename T>
TANREN_INLINE void AddValue(const T* value, int64_t depth, float weight, float* sums) {
  int64_t i = 0;
  for (; i + kLanes <= depth; i += kLanes)
    Store(sums + i, Load(sums + i) + Load(value + i) * weight);
  for (; i < depth; ++i) sums[i] += ToFloat(value[i]) * weight;
}

template <typename T>
void FewRows(const AttentionTask& task, float* scratch) {
  const AttentionSizes sizes(task);
  const int64_t depth = sizes.depth, rows = task.query_count * task.group;
  const int64_t score_stride = RoundUp(sizes.keys, 16);
  float* const queries = scratch;
  float* const sums = queries + rows * depth;
  float* const scores = sums + rows * depth;
  Zero(sums, rows * depth);
  for (int64_t row = 0; row < rows; ++row) {
    float* query = queries + row * depth;
    const int64_t token = row / task.group, head = row % task.group;
    CopyWidened(At<T>(task.query, token * task.query_stride + head * depth), depth, query);
    for (int64_t i = 0; i < depth; ++i) query[i] *= task.scale;
  }
  for (int64_t key = 0; key < sizes.keys; ++key) {
    const T* k = At<T>(task.key, key * task.key_stride);
    int64_t row = 0;
    for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce) {
      ScoreKey<kRowsAtOnce>(queries + row * depth, depth, k, depth,
                            scores + row * score_stride + key, score_stride);
    }
    for (; row < rows; ++row) {
      ScoreKey<1>(queries + row * depth, depth, k, depth, scores + row * score_stride + key,
                  score_stride);
    }
  }
  const auto seen = [&](int64_t row) { return task.first_position + row / task.group + 1; };
  float* const totals = scores + rows * score_stride;
  for (int64_t row = 0; row < rows; ++row) {
    totals[row] = SoftmaxRow(scores + row * score_stride, seen(row));
  }
  for (int64_t key = 0; key < sizes.keys; ++key) {
    const T* v = At<T>(task.value, key * task.value_stride);
    for (int64_t row = 0; row < rows; ++row) {
      if (key < seen(row)) AddValue(v, depth, scores[row * score_stride + key], sums + row * depth);
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    T* out =
        static_cast<T*>(task.out) + row / task.group * task.out_stride + row % task.group * depth;
    const float factor = 1 / totals[row];
    for (int64_t i = 0; i < depth; ++i) StoreOne(out + i, sums[row * depth + i] * factor);
  }
}

int64_t ScratchFloats(const AttentionTask& task) {
  const AttentionSizes sizes(task);
  return task.query_count * task.group * (2 * sizes.depth + RoundUp(sizes.keys, 16) + 1) + 64;
}

}  // namespace

const AttentionKernel kAttentionFewRows = {FewRows<float>, ScratchFloats};
const AttentionKernel kAttentionFewRowsBf16 = {FewRows<Bf16>, ScratchFloats};

}  // namespace tanren::kernels::TANREN_ISA
