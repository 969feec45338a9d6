#include "runtime/kernels/attention.h"

#include "runtime/base/error.h"
#include "runtime/kernels/composed.h"

namespace tanren::kernels {
namespace {

void CheckShapes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  TANREN_CHECK(q.dim() == 3 && k.dim() == 3 && k.sizes() == v.sizes() && q.size(2) == k.size(2) &&
                   k.size(1) > 0 && q.size(1) % k.size(1) == 0 && q.dtype() == k.dtype() &&
                   q.dtype() == v.dtype(),
               "attention of queries {} over keys {} and values {}", c10::str(q.sizes()),
               c10::str(k.sizes()), c10::str(v.sizes()));
}

void CheckOffsets(const at::Tensor& document_offsets, int64_t tokens) {
  const at::Tensor offsets = document_offsets.cpu();
  TANREN_CHECK(offsets.dim() == 1 && offsets.size(0) >= 1 && offsets.scalar_type() == at::kLong,
               "document offsets are [N + 1] int64, not {}", c10::str(offsets.sizes()));
  const auto offset = offsets.accessor<int64_t, 1>();
  const int64_t documents = offset.size(0) - 1;
  for (int64_t n = 0; n < documents; ++n) {
    TANREN_CHECK(offset[n] <= offset[n + 1], "document {} ends at {}, before its start {}", n,
                 offset[n + 1], offset[n]);
  }
  TANREN_CHECK(offset[0] == 0 && offset[documents] == tokens,
               "document offsets go from {} to {} over {} tokens", offset[0], offset[documents],
               tokens);
}

void CheckView(const CacheView& view, const at::Tensor& q) {
  CheckShapes(q, view.keys_LKd, view.values_LKd);
  TANREN_CHECK(view.first_query >= 0 && view.query_count >= 0 &&
                   view.first_query + view.query_count <= q.size(0) &&
                   view.query_count <= view.length && view.length <= view.keys_LKd.size(0),
               "queries {} to {} of {} over {} of {} stored tokens", view.first_query,
               view.first_query + view.query_count, q.size(0), view.length, view.keys_LKd.size(0));
}

}  // namespace

at::Tensor DocumentAttention(const at::Tensor& q_THd, const at::Tensor& k_TKd,
                             const at::Tensor& v_TKd, const at::Tensor& document_offsets,
                             double scale) {
  CheckShapes(q_THd, k_TKd, v_TKd);
  TANREN_CHECK(q_THd.size(0) == k_TKd.size(0), "{} queries for {} keys", q_THd.size(0),
               k_TKd.size(0));
  CheckOffsets(document_offsets, q_THd.size(0));
  return ComposedDocumentAttention(q_THd, k_TKd, v_TKd, document_offsets, scale);
}

at::Tensor DecodeAttention(const at::Tensor& q_THd, std::span<const CacheView> sequences,
                           double scale) {
  for (const CacheView& view : sequences) CheckView(view, q_THd);
  return ComposedDecodeAttention(q_THd, sequences, scale);
}

}  // namespace tanren::kernels
