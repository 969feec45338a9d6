#include "runtime/kernels/cpu/pack.h"
#include "runtime/kernels/cpu/row_loops.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

template <typename T>
void RotateHead(const T* x, const float* cos, const float* sin, int64_t half, T* out) {
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const Vec low = Load(x + i), high = Load(x + half + i);
    Store(out + i, low * Load(cos + i) - high * Load(sin + i));
    Store(out + half + i, high * Load(cos + half + i) + low * Load(sin + half + i));
  }
  for (; i < half; ++i) {
    const float low = ToFloat(x[i]), high = ToFloat(x[half + i]);
    StoreOne(out + i, low * cos[i] - high * sin[i]);
    StoreOne(out + half + i, high * cos[half + i] + low * sin[half + i]);
  }
}

template <typename T>
void RotateTokens(const RotaryTask& task, int64_t first, int64_t end, float* cos) {
  const int64_t size = task.size;
  float* const sin = cos + size;
  for (int64_t token = first; token < end; ++token) {
    const int64_t at = token * size;
    if (task.table_is_bf16) {
      CopyWidened(static_cast<const Bf16*>(task.cos) + at, size, cos);
      CopyWidened(static_cast<const Bf16*>(task.sin) + at, size, sin);
    } else {
      CopyWidened(static_cast<const float*>(task.cos) + at, size, cos);
      CopyWidened(static_cast<const float*>(task.sin) + at, size, sin);
    }
    for (int64_t i = 0; i < size; ++i) sin[i] *= task.direction;
    for (int64_t head = 0; head < task.heads; ++head) {
      RotateHead(
          static_cast<const T*>(task.x) + token * task.token_stride + head * task.head_stride, cos,
          sin, size / 2, static_cast<T*>(task.out) + (token * task.heads + head) * size);
    }
  }
}

}  // namespace

void Rotate(const RotaryTask& task, int64_t first, int64_t end, float* scratch) {
  (task.is_bf16 ? RotateTokens<Bf16> : RotateTokens<float>)(task, first, end, scratch);
}

}  // namespace tanren::kernels::TANREN_ISA
