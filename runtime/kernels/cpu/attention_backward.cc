// With P the attention weights, O = P V and dO the derivative by O:
//   dV = Pᵀ dO,  dS = P ∘ (dO Vᵀ − rowsum(dO ∘ O)),  dQ = scale dS K,  dK = scale dSᵀ Q.
// P is computed again from the scores and the saved log-sum-exp.
#include "runtime/kernels/cpu/attention_block.h"
#include "runtime/kernels/cpu/attention_loops.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

// Everything in scratch: packed once for the task, or for one block of queries.
struct Buffers {
  Slot *keys, *keys_transposed, *values_transposed;  // [key_blocks] packed blocks
  float *d_keys, *d_values;                          // [key_blocks · kKeyBlock, columns] sums
  Slot *query_rows, *d_out_rows;                     // [rows, row_stride]
  Slot *query_panels, *d_out_panels;                 // panels over the rows
  float *scores, *d_scores;                          // [rows, kScoreStride]
  Slot* transposed;                                  // [rows, kScoreStride]
  float* d_query;                                    // [rows, columns] sums
  float *log_sum_exp, *out_dot;                      // [rows]

  // Without a scratch, only counts.
  Buffers(const AttentionSizes& sizes, float* scratch) : begin(scratch) {
    const int64_t packed = sizes.key_blocks * sizes.packed();
    const int64_t sums = sizes.key_blocks * kKeyBlock * sizes.columns;
    Take(packed, keys);
    Take(packed, keys_transposed);
    Take(packed, values_transposed);
    Take(sums, d_keys);
    Take(sums, d_values);
    Take(sizes.rows * sizes.row_stride, query_rows);
    Take(sizes.rows * sizes.row_stride, d_out_rows);
    Take(sizes.rows * sizes.columns, query_panels);
    Take(sizes.rows * sizes.columns, d_out_panels);
    Take(sizes.rows * kScoreStride, scores);
    Take(sizes.rows * kScoreStride, d_scores);
    Take(sizes.rows * kScoreStride, transposed);
    Take(sizes.rows * sizes.columns, d_query);
    Take(sizes.rows, log_sum_exp);
    Take(sizes.rows, out_dot);
  }
  template <typename T>
  void Take(int64_t count, T*& taken) {
    static_assert(sizeof(T) == sizeof(float));
    if (begin != nullptr) taken = reinterpret_cast<T*>(begin + size);
    size += RoundUp(count, 16);
  }
  float* begin;
  int64_t size = 0;
};

template <typename T>
void PackKeys(const AttentionTask& task, const AttentionSizes& sizes, const Buffers& buffers) {
  for (int64_t block = 0; block < sizes.key_blocks; ++block) {
    const int64_t first = block * kKeyBlock, count = Least(kKeyBlock, sizes.keys - first);
    const T* key = At<T>(task.key, first * task.key_stride);
    const T* value = At<T>(task.value, first * task.value_stride);
    const int64_t at = block * sizes.packed();
    PackRight(key, task.key_stride, count, sizes.depth, buffers.keys + at);
    PackRightTransposed(key, task.key_stride, sizes.depth, count, buffers.keys_transposed + at);
    PackRightTransposed(value, task.value_stride, sizes.depth, count,
                        buffers.values_transposed + at);
  }
  Zero(buffers.d_keys, sizes.key_blocks * kKeyBlock * sizes.columns);
  Zero(buffers.d_values, sizes.key_blocks * kKeyBlock * sizes.columns);
}

template <typename T>
void PackQueries(const AttentionTask& task, const AttentionSizes& sizes, int64_t query,
                 int64_t tokens, const Buffers& buffers) {
  const int64_t rows = tokens * task.group;
  PackQueryRows(At<T>(task.query, query * task.query_stride), task.query_stride, tokens, task.group,
                sizes, task.scale, buffers.query_rows);
  PackQueryRows(At<T>(task.d_out, query * task.out_stride), task.out_stride, tokens, task.group,
                sizes, 1.0f, buffers.d_out_rows);
  const int64_t stride = sizes.row_stride * kSlotElements;
  PackRight(reinterpret_cast<const Weight*>(buffers.query_rows), stride, rows, sizes.depth,
            buffers.query_panels);
  PackRight(reinterpret_cast<const Weight*>(buffers.d_out_rows), stride, rows, sizes.depth,
            buffers.d_out_panels);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t token = query + row / task.group, head = row % task.group;
    const T* out = At<T>(task.out, token * task.out_stride + head * sizes.depth);
    const T* d_out = At<T>(task.d_out, token * task.out_stride + head * sizes.depth);
    Vec dot = {};
    float rest = 0;
    int64_t j = 0;
    for (; j + kLanes <= sizes.depth; j += kLanes) dot += Load(out + j) * Load(d_out + j);
    for (; j < sizes.depth; ++j) rest += ToFloat(out[j]) * ToFloat(d_out[j]);
    buffers.out_dot[row] = Sum(dot) + rest;
    buffers.log_sum_exp[row] = task.log_sum_exp[token * task.log_sum_exp_stride + head];
  }
  Zero(buffers.d_query, sizes.rows * sizes.columns);
}

// Scores become weights, and derivatives by weights those by scores over `scale`; zero beyond the
// `visible` first keys and up to the end of the block's last tile.
void DifferentiateRow(float* scores, float* d_scores, float scale, int64_t visible, int64_t keys,
                      float log_sum_exp, float out_dot) {
  for (int64_t j = visible; j < RoundUp(visible, kLanes); ++j) {
    scores[j] = -__builtin_inff();
    d_scores[j] = 0;
  }
  float weights[kKeyBlock];  // not rounded
  ReplaceByWeights(scores, visible, keys, [&](Vec score, int64_t j) {
    const Vec p = Exp(score * scale - log_sum_exp);
    Store(weights + j, p);
    return p;
  });
  ReplaceByWeights(d_scores, visible, keys, [&](Vec d_weight, int64_t j) {
    return Load(weights + j) * (d_weight - out_dot);
  });
}

// sums[keys, columns] += weightsᵀ · panels.
void AddTransposed(const float* weights, int64_t keys, const Slot* panels, int64_t rows,
                   int64_t columns, Slot* transposed, float* sums) {
  const Slot* const left = Transposed(reinterpret_cast<const Slot*>(weights), rows,
                                      RoundUp(keys, kTileRows), kScoreStride, transposed);
  for (int64_t j = 0; j < columns; j += kTileColumns) {
    for (int64_t i = 0; i < keys; i += kTileRows) {
      MultiplyTile(SlotsOf(rows), left + i, 1, kScoreStride, panels + j * SlotsOf(rows),
                   sums + i * columns + j, columns, true);
    }
  }
}

template <typename T>
void WriteRow(const float* sums, int64_t count, float factor, T* out) {
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) Store(out + j, Load(sums + j) * factor);
  for (; j < count; ++j) StoreOne(out + j, sums[j] * factor);
}

template <typename T>
void Backward(const AttentionTask& task, float* scratch) {
  const AttentionSizes sizes(task);
  const Buffers buffers(sizes, scratch);
  PackKeys<T>(task, sizes, buffers);
  for (int64_t query = 0; query < task.query_count; query += sizes.positions) {
    const int64_t tokens = Least(sizes.positions, task.query_count - query);
    const int64_t rows = tokens * task.group;
    PackQueries<T>(task, sizes, query, tokens, buffers);
    for (int64_t block = 0; block * kKeyBlock < query + tokens; ++block) {
      const int64_t first = block * kKeyBlock, at = block * sizes.packed();
      const int64_t sums_at = first * sizes.columns;
      const int64_t stored = Least(kKeyBlock, sizes.keys - first);
      const int64_t seen = Least(kKeyBlock, query + tokens - first);
      Scores(buffers.query_rows, rows, buffers.keys_transposed + at, seen, sizes, buffers.scores);
      Scores(buffers.d_out_rows, rows, buffers.values_transposed + at, seen, sizes,
             buffers.d_scores);
      for (int64_t row = 0; row < rows; ++row) {
        DifferentiateRow(buffers.scores + row * kScoreStride, buffers.d_scores + row * kScoreStride,
                         ScoreScale(task), Visible(query + row / task.group, first, seen), seen,
                         buffers.log_sum_exp[row], buffers.out_dot[row]);
      }
      AddTransposed(buffers.scores, seen, buffers.d_out_panels, rows, sizes.columns,
                    buffers.transposed, buffers.d_values + sums_at);
      AddTransposed(buffers.d_scores, seen, buffers.query_panels, rows, sizes.columns,
                    buffers.transposed, buffers.d_keys + sums_at);
      AddWeighted(reinterpret_cast<const Slot*>(buffers.d_scores), rows, seen, buffers.keys + at,
                  stored, sizes, buffers.d_query);
    }
    for (int64_t row = 0; row < rows; ++row) {
      WriteRow(buffers.d_query + row * sizes.columns, sizes.depth, task.scale,
               static_cast<T*>(task.d_query) + (query + row / task.group) * task.query_stride +
                   row % task.group * sizes.depth);
    }
  }
  for (int64_t key = 0; key < sizes.keys; ++key) {
    WriteRow(buffers.d_keys + key * sizes.columns, sizes.depth, ScoreScale(task),
             static_cast<T*>(task.d_key) + key * task.key_stride);
    WriteRow(buffers.d_values + key * sizes.columns, sizes.depth, 1.0f,
             static_cast<T*>(task.d_value) + key * task.value_stride);
  }
}

int64_t ScratchFloats(const AttentionTask& task) {
  return Buffers(AttentionSizes(task), nullptr).size;
}

}  // namespace

const AttentionKernel kAttentionBackwardBf16 = {Backward<Bf16>, ScratchFloats};
#if !defined(__AVX512BF16__)  // there, operands would be rounded
const AttentionKernel kAttentionBackward = {Backward<float>, ScratchFloats};
#endif

}  // namespace tanren::kernels::TANREN_ISA
