#include "runtime/kernels/composed.h"

#include <ATen/ATen.h>

#include <limits>
#include <vector>

namespace tanren::kernels {
namespace {

at::ScalarType SumDtype(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

// [Q, H, d] queries over [L, K, d] keys and values; the last query sees all L, earlier ones fewer.
at::Tensor Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale) {
  const int64_t queries = q.size(0), length = k.size(0), group = q.size(1) / k.size(1);
  const auto dtype = SumDtype(q);
  const auto heads_first = [&](const at::Tensor& x) { return x.to(dtype).transpose(0, 1); };
  const at::Tensor keys = heads_first(k).repeat_interleave(group, 0);
  const at::Tensor values = heads_first(v).repeat_interleave(group, 0);
  const at::Tensor hidden_later =
      at::ones({queries, length}, q.options().dtype(at::kBool)).triu(length - queries + 1);
  const at::Tensor scores =
      (at::matmul(heads_first(q), keys.transpose(1, 2)) * scale)
          .masked_fill(hidden_later, -std::numeric_limits<double>::infinity());
  return at::matmul(scores.softmax(-1), values).transpose(0, 1).to(q.scalar_type());
}

}  // namespace

at::Tensor ComposedRmsNorm(const at::Tensor& x, const at::Tensor& weight_D, double epsilon) {
  const at::Tensor wide = x.to(SumDtype(x));
  const at::Tensor normal = wide * at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + epsilon);
  return weight_D.to(x.scalar_type()) * normal.to(x.scalar_type());
}

at::Tensor ComposedSwiGlu(const at::Tensor& gate_TF, const at::Tensor& up_TF) {
  const auto dtype = SumDtype(gate_TF);
  return (at::silu(gate_TF.to(dtype)) * up_TF.to(dtype)).to(gate_TF.scalar_type());
}

at::Tensor ComposedRotary(const at::Tensor& x_THd, const RotaryTable& table) {
  const auto halves = x_THd.chunk(2, -1);
  const at::Tensor turned = at::cat({-halves[1], halves[0]}, -1);
  return (x_THd * table.cos_Td.unsqueeze(1) + turned * table.sin_Td.unsqueeze(1))
      .to(x_THd.scalar_type());
}

at::Tensor ComposedDocumentAttention(const at::Tensor& q_THd, const at::Tensor& k_TKd,
                                     const at::Tensor& v_TKd, const at::Tensor& document_offsets,
                                     double scale) {
  const auto offset = document_offsets.accessor<int64_t, 1>();
  std::vector<at::Tensor> documents;
  for (int64_t n = 0; n + 1 < offset.size(0); ++n) {
    const auto part = [&](const at::Tensor& x) { return x.slice(0, offset[n], offset[n + 1]); };
    if (offset[n] < offset[n + 1]) {
      documents.push_back(Attend(part(q_THd), part(k_TKd), part(v_TKd), scale));
    }
  }
  // Without a token the result still hangs on all three in the graph.
  return documents.empty() ? q_THd + 0 * (k_TKd.sum() + v_TKd.sum()) : at::cat(documents);
}

at::Tensor ComposedDecodeAttention(const at::Tensor& q_THd, std::span<const CacheView> sequences,
                                   double scale) {
  at::Tensor out = at::zeros(q_THd.sizes(), q_THd.options());
  for (const CacheView& view : sequences) {
    if (view.query_count == 0) continue;
    const int64_t end = view.first_query + view.query_count;
    out.slice(0, view.first_query, end)
        .copy_(Attend(q_THd.slice(0, view.first_query, end), view.keys_LKd.slice(0, 0, view.length),
                      view.values_LKd.slice(0, 0, view.length), scale));
  }
  return out;
}

}  // namespace tanren::kernels
