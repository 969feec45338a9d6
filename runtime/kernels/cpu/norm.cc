// With n = x / rms(x) and y = n · w:  dw = Σ dy · n,  dx = (dy·w − n · mean(dy·w·n)) / rms(x).
#include "runtime/kernels/cpu/row_loops.h"
#include "runtime/kernels/cpu/vector.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

// To the precision of T and back.
TANREN_INLINE Vec Rounded(Vec x, const float*) { return x; }
TANREN_INLINE Vec Rounded(Vec x, const Bf16*) {
  return reinterpret_cast<Vec>(RoundToBf16(x) << 16);
}

template <typename T>
void Forward(const NormTask& task, int64_t first, int64_t end) {
  const T* weight = static_cast<const T*>(task.weight);
  for (int64_t row = first; row < end; ++row) {
    const T* x = static_cast<const T*>(task.x) + row * task.width;
    T* out = static_cast<T*>(task.out) + row * task.width;
    Vec squares = {};
    ForEachVector(0, task.width, [&](int64_t i, auto load, auto) {
      const Vec v = load(x + i);
      squares += v * v;
    });
    const float mean = Sum(squares) / static_cast<float>(task.width);
    const float factor = 1 / __builtin_sqrtf(mean + task.epsilon);
    task.inverse_rms[row] = factor;
    ForEachVector(0, task.width, [&](int64_t i, auto load, auto store) {
      store(out + i, Rounded(load(x + i) * factor, x) * load(weight + i));
    });
  }
}

template <typename T>
void Backward(const NormTask& task, int64_t first, int64_t end, float* d_weight) {
  const T* weight = static_cast<const T*>(task.weight);
  for (int64_t row = first; row < end; ++row) {
    const T* x = static_cast<const T*>(task.x) + row * task.width;
    const T* d_out = static_cast<const T*>(task.d_out) + row * task.width;
    T* d_x = static_cast<T*>(task.d_x) + row * task.width;
    const float factor = task.inverse_rms[row];
    Vec dot = {};
    ForEachVector(0, task.width, [&](int64_t i, auto load, auto store) {
      const Vec normal = load(x + i) * factor, d = load(d_out + i);
      dot += d * load(weight + i) * normal;
      store(d_weight + i, load(d_weight + i) + d * Rounded(normal, x));
    });
    const float mean = Sum(dot) / static_cast<float>(task.width);
    ForEachVector(0, task.width, [&](int64_t i, auto load, auto store) {
      const Vec normal = load(x + i) * factor;
      store(d_x + i, (load(d_out + i) * load(weight + i) - normal * mean) * factor);
    });
  }
}

}  // namespace

void NormForward(const NormTask& task, int64_t first, int64_t end) {
  (task.is_bf16 ? Forward<Bf16> : Forward<float>)(task, first, end);
}

void NormBackward(const NormTask& task, int64_t first, int64_t end, float* d_weight) {
  (task.is_bf16 ? Backward<Bf16> : Backward<float>)(task, first, end, d_weight);
}

}  // namespace tanren::kernels::TANREN_ISA
