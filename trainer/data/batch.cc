#include "trainer/data/batch.h"

#include <ATen/ATen.h>

#include "runtime/base/error.h"

namespace tanren::trainer {

Batch MakeBatch(std::span<const Document* const> documents) {
  TANREN_CHECK(!documents.empty());
  int64_t total = 0;
  for (const Document* document : documents) {
    TANREN_CHECK(!document->tokens.empty());
    TANREN_CHECK(document->tokens.size() == document->weights.size(), "{} tokens, {} weights",
                 document->tokens.size(), document->weights.size());
    total += static_cast<int64_t>(document->tokens.size());
  }
  Batch batch{
      .tokens_T = at::empty({total}, at::kLong),
      .positions_T = at::empty({total}, at::kLong),
      .document_offsets_N1 = at::empty({static_cast<int64_t>(documents.size()) + 1}, at::kLong),
      .targets_T = at::zeros({total}, at::kLong),
      .weights_T = at::zeros({total}, at::kFloat)};
  auto* tokens = batch.tokens_T.mutable_data_ptr<int64_t>();
  auto* positions = batch.positions_T.mutable_data_ptr<int64_t>();
  auto* offsets = batch.document_offsets_N1.mutable_data_ptr<int64_t>();
  auto* targets = batch.targets_T.mutable_data_ptr<int64_t>();
  auto* weights = batch.weights_T.mutable_data_ptr<float>();
  int64_t t = 0;
  *offsets++ = 0;
  for (const Document* document : documents) {
    const size_t length = document->tokens.size();
    for (size_t i = 0; i < length; ++i, ++t) {
      tokens[t] = document->tokens[i];
      positions[t] = static_cast<int64_t>(i);
      if (i + 1 == length) continue;
      targets[t] = document->tokens[i + 1];
      weights[t] = document->weights[i + 1];
    }
    *offsets++ = t;
  }
  return batch;
}

double TargetWeight(const Batch& batch) { return batch.weights_T.sum(at::kDouble).item<double>(); }

}  // namespace tanren::trainer
