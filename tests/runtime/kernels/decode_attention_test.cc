#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "runtime/kernels/attention.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

// Generating token by token, several at once or all at once is the same as training's attention.
TEST(DecodeAttention, EqualsDocumentAttentionHoweverTheTokensArrive) {
  const int64_t length = 75;
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t head_size : {64, 20}) {
      const at::Tensor q = Random({length, 6, head_size}, 1, dtype);
      const at::Tensor k = Random({length, 2, head_size}, 2, dtype);
      const at::Tensor v = Random({length, 2, head_size}, 3, dtype);
      const at::Tensor whole =
          DocumentAttention(q, k, v, at::tensor({int64_t{0}, length}, at::kLong), 0.15);
      for (const int64_t step : {int64_t{1}, int64_t{3}, int64_t{25}, length}) {
        for (int64_t t = 0; t < length; t += step) {
          const CacheView view{k, v, 0, step, t + step};
          const at::Tensor part = DecodeAttention(q.slice(0, t, t + step), {&view, 1}, 0.15);
          ExpectClose(part, whole.slice(0, t, t + step), Tolerance(dtype), "part");
        }
      }
    }
  }
}

TEST(DecodeAttention, ReadsEachSequencesOwnCacheInAnyLayout) {
  const at::Tensor q = Random({5, 4, 16}, 1);
  // [K, L, d] in memory for the first, [L, K, d] for the second.
  const at::Tensor first_k = Random({2, 40, 16}, 2), first_v = Random({2, 40, 16}, 3);
  const at::Tensor second_k = Random({9, 2, 16}, 4), second_v = Random({9, 2, 16}, 5);
  const std::vector<CacheView> views = {
      {second_k, second_v, 3, 2, 9},
      {first_k.transpose(0, 1), first_v.transpose(0, 1), 0, 2, 31},
  };
  const at::Tensor together = DecodeAttention(q, views, 0.3);
  for (const CacheView& view : views) {
    CacheView alone = view;
    alone.first_query = 0;
    alone.keys_LKd = view.keys_LKd.contiguous();
    const auto rows = [&](const at::Tensor& x) {
      return x.slice(0, view.first_query, view.first_query + view.query_count);
    };
    const at::Tensor found = DecodeAttention(rows(q), {&alone, 1}, 0.3);
    EXPECT_TRUE(at::equal(found, rows(together)));
  }
  EXPECT_EQ(together[2].abs().max().item<float>(), 0);  // no sequence names row 2
}

TEST(DecodeAttention, WhatLiesBeyondTheLengthIsNotRead) {
  const at::Tensor q = Random({1, 2, 8}, 1);
  at::Tensor k = Random({16, 1, 8}, 2), v = Random({16, 1, 8}, 3);
  const CacheView view{k, v, 0, 1, 10};
  const at::Tensor before = DecodeAttention(q, {&view, 1}, 0.3);
  k.slice(0, 10).fill_(std::numeric_limits<float>::quiet_NaN());
  v.slice(0, 10).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(at::equal(DecodeAttention(q, {&view, 1}, 0.3), before));
}

TEST(DecodeAttention, RefusesMoreThanIsStored) {
  const at::Tensor q = Random({2, 2, 8}, 1), k = Random({4, 1, 8}, 2);
  for (const CacheView& view : {CacheView{k, k, 0, 2, 5}, CacheView{k, k, 1, 2, 4},
                                CacheView{k, k, 0, 2, 1}, CacheView{k, k, -1, 1, 2}}) {
    EXPECT_THROW(DecodeAttention(q, {&view, 1}, 1), Error);
  }
}

}  // namespace
}  // namespace tanren::kernels
