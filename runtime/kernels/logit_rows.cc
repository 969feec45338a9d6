#include "runtime/kernels/logit_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "runtime/base/error.h"
#include "runtime/kernels/cpu/kernel_table.h"
#include "runtime/kernels/device_kernels.h"

namespace tanren::kernels {
namespace {

RowStatistics ComposedStatistics(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                                 double temperature, bool entropy) {
  const at::Tensor scaled = temperature == 1 ? logits_RV : logits_RV / temperature;
  RowStatistics statistics;
  statistics.logsumexp_R = scaled.logsumexp(1);
  statistics.logprob_R =
      scaled.gather(1, targets_R.unsqueeze(1)).squeeze(1) - statistics.logsumexp_R;
  if (entropy) {
    const at::Tensor p = (scaled - statistics.logsumexp_R.unsqueeze(1)).exp();
    statistics.entropy_R = statistics.logsumexp_R - (p * scaled).sum(1);
  }
  return statistics;
}

// With z = logits / temperature:  ∂ log p_t / ∂z_j = δ_tj − p_j,  ∂H / ∂z_j = −p_j (log p_j + H).
void ComposedDifferentiate(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                           const RowStatistics& statistics, const at::Tensor& d_logprob_R,
                           const at::Tensor& d_entropy_R, double temperature) {
  // In the logits' own memory: a chunk of a large vocabulary is there once.
  at::Tensor log_p = logits_RV;
  if (temperature != 1) log_p.div_(temperature);
  log_p.sub_(statistics.logsumexp_R.unsqueeze(1));
  at::Tensor by_p = d_logprob_R.unsqueeze(1);
  if (d_entropy_R.defined()) {
    by_p = d_entropy_R.unsqueeze(1) * (log_p + statistics.entropy_R.unsqueeze(1)) + by_p;
  }
  at::Tensor derivative = log_p.exp_().mul_(by_p).neg_();
  derivative.scatter_add_(1, targets_R.unsqueeze(1), d_logprob_R.to(at::kFloat).unsqueeze(1));
  if (temperature != 1) derivative.div_(temperature);
}

float At(const at::Tensor& values_R, int64_t row) {
  return values_R.defined() ? values_R.const_data_ptr<float>()[row] : 0;
}

}  // namespace

RowStatistics StatisticsOfRows(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                               double temperature, bool entropy) {
  const DeviceKernels* const device = DeviceKernelsFor(logits_RV);
  if (!logits_RV.is_cpu() && device == nullptr) {
    return ComposedStatistics(logits_RV, targets_R, temperature, entropy);
  }
  const int64_t rows = logits_RV.size(0), vocabulary = logits_RV.size(1);
  const auto empty = [&] { return at::empty({rows}, logits_RV.options()); };
  const RowStatistics statistics{empty(), empty(), entropy ? empty() : at::Tensor()};
  if (device != nullptr) {
    device->LogitStatistics(logits_RV, targets_R, temperature, statistics);
    return statistics;
  }
  at::parallel_for(0, rows, 1, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      LogitRow row{logits_RV.const_data_ptr<float>() + i * vocabulary, vocabulary,
                   targets_R.const_data_ptr<int64_t>()[i], static_cast<float>(1 / temperature)};
      Kernels().logit_statistics(&row, entropy);
      statistics.logprob_R.mutable_data_ptr<float>()[i] = row.logprob;
      statistics.logsumexp_R.mutable_data_ptr<float>()[i] = row.log_sum_exp;
      if (entropy) statistics.entropy_R.mutable_data_ptr<float>()[i] = row.entropy;
    }
  });
  return statistics;
}

int64_t DrawFromRow(std::span<const float> logits_V, double temperature, double uniform) {
  LogitRow row{logits_V.data(), static_cast<int64_t>(logits_V.size()), /*target=*/0,
               static_cast<float>(1 / temperature)};
  Kernels().logit_statistics(&row, /*entropy=*/false);
  TANREN_CHECK(std::isfinite(row.log_sum_exp), "the logits' log-sum-exp is {}", row.log_sum_exp);
  return Kernels().logit_draw(row, uniform);
}

at::Tensor DifferentiateRows(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                             const RowStatistics& statistics, const at::Tensor& d_logprob_R,
                             const at::Tensor& d_entropy_R, double temperature,
                             at::ScalarType dtype) {
  const int64_t vocabulary = logits_RV.size(1);
  const auto in_place = [&](at::ScalarType narrow) {
    return narrow == at::kFloat ? logits_RV : logits_RV.view(narrow).narrow(1, 0, vocabulary);
  };
  if (const DeviceKernels* const device = DeviceKernelsFor(logits_RV)) {
    device->LogitDerivatives(logits_RV, targets_R, statistics, d_logprob_R, d_entropy_R,
                             temperature, dtype);
    return in_place(dtype);
  }
  if (!logits_RV.is_cpu()) {
    ComposedDifferentiate(logits_RV, targets_R, statistics, d_logprob_R, d_entropy_R, temperature);
    return logits_RV.to(dtype);
  }
  const bool to_bf16 = dtype == at::kBFloat16;
  at::parallel_for(0, logits_RV.size(0), 1, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      float* const logits = logits_RV.mutable_data_ptr<float>() + i * vocabulary;
      const LogitRow row{logits,
                         vocabulary,
                         targets_R.const_data_ptr<int64_t>()[i],
                         static_cast<float>(1 / temperature),
                         At(statistics.logprob_R, i),
                         At(statistics.logsumexp_R, i),
                         At(statistics.entropy_R, i)};
      Kernels().logit_derivative(row, At(d_logprob_R, i), At(d_entropy_R, i), logits, to_bf16);
    }
  });
  return in_place(to_bf16 ? dtype : at::kFloat);
}

}  // namespace tanren::kernels
