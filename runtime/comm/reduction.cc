#include "runtime/comm/reduction.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <array>
#include <type_traits>

#include "runtime/base/error.h"

namespace tanren::comm {
namespace {

// Elements accumulated at a time: the accumulators stay in the first-level cache.
constexpr int64_t kBlock = 1024;

template <typename T>
constexpr bool kIsShortFloat = std::is_same_v<T, c10::BFloat16> || std::is_same_v<T, c10::Half>;

template <typename T>
using Accumulator = std::conditional_t<kIsShortFloat<T>, float, T>;

// Unsigned arithmetic wraps around; signed overflow would be undefined.
template <typename A>
A Add(A a, A b) {
  if constexpr (std::is_integral_v<A>) {
    using U = std::make_unsigned_t<A>;
    return static_cast<A>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  } else {
    return a + b;
  }
}

template <ReduceOp op, typename A>
A Combine(A a, A b) {
  if constexpr (op == ReduceOp::kSum) {
    return Add(a, b);
  } else {
    const bool take = op == ReduceOp::kMax ? b > a : b < a;
    if constexpr (std::is_floating_point_v<A>) return take || b != b ? b : a;
    return take ? b : a;
  }
}

template <ReduceOp op, typename T>
void ReduceAs(void* output, std::span<const void* const> inputs, int64_t count) {
  std::array<Accumulator<T>, kBlock> sums;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t length = std::min(kBlock, count - begin);
    const T* first = static_cast<const T*>(inputs[0]) + begin;
    for (int64_t i = 0; i < length; ++i) sums[i] = static_cast<Accumulator<T>>(first[i]);
    for (const void* input : inputs.subspan(1)) {
      const T* values = static_cast<const T*>(input) + begin;
      for (int64_t i = 0; i < length; ++i) {
        sums[i] = Combine<op>(sums[i], static_cast<Accumulator<T>>(values[i]));
      }
    }
    T* to = static_cast<T*>(output) + begin;
    for (int64_t i = 0; i < length; ++i) to[i] = static_cast<T>(sums[i]);
  }
}

template <typename T>
void ReduceBy(ReduceOp op, void* output, std::span<const void* const> inputs, int64_t count) {
  switch (op) {
    case ReduceOp::kSum:
      return ReduceAs<ReduceOp::kSum, T>(output, inputs, count);
    case ReduceOp::kMax:
      return ReduceAs<ReduceOp::kMax, T>(output, inputs, count);
    case ReduceOp::kMin:
      return ReduceAs<ReduceOp::kMin, T>(output, inputs, count);
  }
}

}  // namespace

void Reduce(ReduceOp op, at::ScalarType dtype, void* output, std::span<const void* const> inputs,
            int64_t count) {
  TANREN_CHECK(!inputs.empty());
  switch (dtype) {
    case at::kFloat:
      return ReduceBy<float>(op, output, inputs, count);
    case at::kDouble:
      return ReduceBy<double>(op, output, inputs, count);
    case at::kBFloat16:
      return ReduceBy<c10::BFloat16>(op, output, inputs, count);
    case at::kHalf:
      return ReduceBy<c10::Half>(op, output, inputs, count);
    case at::kInt:
      return ReduceBy<int32_t>(op, output, inputs, count);
    case at::kLong:
      return ReduceBy<int64_t>(op, output, inputs, count);
    case at::kByte:
      return ReduceBy<uint8_t>(op, output, inputs, count);
    default:
      TANREN_CHECK(false, "no reduction of {}", c10::toString(dtype));
  }
}

}  // namespace tanren::comm
