#include "trainer/rollout/scoring.h"

#include <ATen/ATen.h>

#include "runtime/base/error.h"
#include "runtime/kernels/linear_cross_entropy.h"

namespace tanren::trainer {
namespace {

kernels::TokenStatistics StatisticsOf(const ResidentModel& model, const Batch& batch) {
  const at::NoGradGuard no_grad;
  parallel::Activations input;
  input.tokens_T = batch.tokens_T;
  input.positions_T = batch.positions_T;
  input.document_offsets = batch.document_offsets_N1;
  return kernels::LogProbabilities(model.Forward(std::move(input)), model.head_weight_VD(),
                                   batch.targets_T, batch.weights_T.ne(0));
}

std::vector<double> SumsOfDocuments(const at::Tensor& values_T, const Batch& batch) {
  const at::Tensor& offsets = batch.document_offsets_N1;
  std::vector<double> sums;
  for (int64_t n = 0; n + 1 < offsets.numel(); ++n) {
    const int64_t begin = offsets[n].item<int64_t>(), end = offsets[n + 1].item<int64_t>();
    sums.push_back(values_T.slice(0, begin, end).sum().item<double>());
  }
  return sums;
}

}  // namespace

std::vector<float> TokenLogProbs(const ResidentModel& model, std::span<const int32_t> tokens) {
  Document document;
  document.tokens.assign(tokens.begin(), tokens.end());
  document.weights.assign(tokens.size(), 1.0f);
  const Document* documents[] = {&document};
  const at::Tensor logprob_T = StatisticsOf(model, MakeBatch(documents)).logprob_T.contiguous();
  const float* values = logprob_T.const_data_ptr<float>();
  return {values, values + tokens.size() - 1};
}

std::vector<double> DocumentLosses(const ResidentModel& model, const Batch& batch) {
  return SumsOfDocuments(-(StatisticsOf(model, batch).logprob_T.to(at::kDouble) * batch.weights_T),
                         batch);
}

std::vector<double> DocumentWeights(const Batch& batch) {
  return SumsOfDocuments(batch.weights_T.to(at::kDouble), batch);
}

}  // namespace tanren::trainer
