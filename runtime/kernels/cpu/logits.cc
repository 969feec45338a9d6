#include "runtime/kernels/cpu/row_loops.h"
#include "runtime/kernels/cpu/vector.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

// Sums are kept for this many vectors and then added to those of the whole row: fewer roundings.
constexpr int64_t kSumBlock = 64 * kLanes;

TANREN_INLINE Vec LoadUpTo(const float* p, int64_t i, int64_t end, float otherwise) {
  if (i + kLanes <= end) return Load(p + i);
  float lanes[kLanes];
  for (int j = 0; j < kLanes; ++j) lanes[j] = i + j < end ? p[i + j] : otherwise;
  return Load(lanes);
}

}  // namespace

void LogitStatistics(LogitRow* row, bool entropy) {
  const int64_t count = row->vocabulary;
  const float factor = row->inverse_temperature;
  constexpr float kLowest = -__FLT_MAX__;
  Vec largest = Splat(kLowest);
  for (int64_t i = 0; i < count; i += kLanes) {
    largest = Max(LoadUpTo(row->logits, i, count, kLowest), largest);
  }
  const float max = Max(largest) * factor;
  Vec total = {}, weighted = {};
  for (int64_t block = 0; block < count; block += kSumBlock) {
    const int64_t end = count < block + kSumBlock ? count : block + kSumBlock;
    Vec sum = {}, sum_of_products = {};
    for (int64_t i = block; i < end; i += kLanes) {
      const Vec shifted = LoadUpTo(row->logits, i, end, kLowest) * factor - max;
      const Vec p = Exp(shifted);
      sum += p;
      // Where p is 0, so is the product, however small the logit.
      if (entropy) sum_of_products += p * Max(shifted, Splat(-1000));
    }
    total += sum;
    weighted += sum_of_products;
  }
  const float sum = Sum(total), log_sum = __builtin_logf(sum);
  row->log_sum_exp = max + log_sum;
  row->logprob = (row->logits[row->target] * factor - max) - log_sum;
  if (entropy) row->entropy = log_sum - Sum(weighted) / sum;
}

int64_t LogitDraw(const LogitRow& row, double uniform) {
  const float factor = row.inverse_temperature;
  double reached = 0;
  int64_t last = 0;  // with a probability
  for (int64_t block = 0; block < row.vocabulary; block += kLanes) {
    float p[kLanes];
    Store(p, Exp(LoadUpTo(row.logits, block, row.vocabulary, -__FLT_MAX__) * factor -
                 row.log_sum_exp));
    for (int i = 0; i < kLanes; ++i) {
      if (p[i] > 0) last = block + i;
      reached += p[i];
      if (uniform < reached) return block + i;
    }
  }
  return last;
}

namespace {

// `out` may be the logits' memory: an element is written where none that is still to be read
// stands.
template <typename T>
void Differentiate(const LogitRow& row, float d_logprob, float d_entropy, T* out) {
  const float factor = row.inverse_temperature;
  const auto derivative = [&](Vec logits) {
    const Vec log_p = logits * factor - row.log_sum_exp;
    return -Exp(log_p) * (d_logprob + d_entropy * (log_p + row.entropy)) * factor;
  };
  // Of the target, the difference is taken before it is rounded.
  const float of_target = derivative(Splat(row.logits[row.target]))[0] + d_logprob * factor;
  ForEachVector(0, row.vocabulary, [&](int64_t i, auto load, auto store) {
    store(out + i, derivative(load(row.logits + i)));
  });
  StoreOne(out + row.target, of_target);
}

}  // namespace

void LogitDerivative(const LogitRow& row, float d_logprob, float d_entropy, void* out,
                     bool to_bf16) {
  if (to_bf16) {
    Differentiate(row, d_logprob, d_entropy, static_cast<Bf16*>(out));
  } else {
    Differentiate(row, d_logprob, d_entropy, static_cast<float*>(out));
  }
}

}  // namespace tanren::kernels::TANREN_ISA
