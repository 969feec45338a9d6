// y = g σ(g) u:  dg = dy u σ(g) (1 + g (1 − σ(g))),  du = dy g σ(g).
#include "runtime/kernels/cpu/row_loops.h"
#include "runtime/kernels/cpu/vector.h"

namespace tanren::kernels::TANREN_ISA {
namespace {

TANREN_INLINE Vec Sigmoid(Vec x) { return 1 / (1 + Exp(-x)); }

template <typename T>
void Forward(const GateTask& task, int64_t first, int64_t end) {
  const T* gate = static_cast<const T*>(task.gate);
  const T* up = static_cast<const T*>(task.up);
  T* out = static_cast<T*>(task.out);
  ForEachVector(first, end, [&](int64_t i, auto load, auto store) {
    const Vec g = load(gate + i);
    store(out + i, g * Sigmoid(g) * load(up + i));
  });
}

// `out` may be null.
template <typename T>
void Backward(const GateTask& task, int64_t first, int64_t end) {
  const T* gate = static_cast<const T*>(task.gate);
  const T* up = static_cast<const T*>(task.up);
  const T* d_out = static_cast<const T*>(task.d_out);
  T* d_gate = static_cast<T*>(task.d_gate);
  T* d_up = static_cast<T*>(task.d_up);
  T* out = static_cast<T*>(task.out);
  ForEachVector(first, end, [&](int64_t i, auto load, auto store) {
    const Vec g = load(gate + i), u = load(up + i), d = load(d_out + i);
    const Vec sigmoid = Sigmoid(g);
    store(d_gate + i, d * u * sigmoid * (1 + g * (1 - sigmoid)));
    store(d_up + i, d * g * sigmoid);
    if (out != nullptr) store(out + i, g * sigmoid * u);
  });
}

}  // namespace

void GateForward(const GateTask& task, int64_t first, int64_t end) {
  (task.is_bf16 ? Forward<Bf16> : Forward<float>)(task, first, end);
}

void GateBackward(const GateTask& task, int64_t first, int64_t end) {
  (task.is_bf16 ? Backward<Bf16> : Backward<float>)(task, first, end);
}

}  // namespace tanren::kernels::TANREN_ISA
