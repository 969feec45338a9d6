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
  const auto value = [](Vec g, Vec u) { return g * Sigmoid(g) * u; };
  int64_t i = first;
  for (; i + kLanes <= end; i += kLanes) Store(out + i, value(Load(gate + i), Load(up + i)));
  if (i < end) {
    StoreSome(out + i, value(LoadSome(gate + i, end - i), LoadSome(up + i, end - i)), end - i);
  }
}

struct Derivative {
  Vec gate, up;
};
TANREN_INLINE Derivative Differentiate(Vec g, Vec u, Vec d) {
  const Vec sigmoid = Sigmoid(g);
  return {d * u * sigmoid * (1 + g * (1 - sigmoid)), d * g * sigmoid};
}

template <typename T>
void Backward(const GateTask& task, int64_t first, int64_t end) {
  const T* gate = static_cast<const T*>(task.gate);
  const T* up = static_cast<const T*>(task.up);
  const T* d_out = static_cast<const T*>(task.d_out);
  T* d_gate = static_cast<T*>(task.d_gate);
  T* d_up = static_cast<T*>(task.d_up);
  int64_t i = first;
  for (; i + kLanes <= end; i += kLanes) {
    const Derivative d = Differentiate(Load(gate + i), Load(up + i), Load(d_out + i));
    Store(d_gate + i, d.gate);
    Store(d_up + i, d.up);
  }
  const int64_t rest = end - i;
  if (rest > 0) {
    const Derivative d =
        Differentiate(LoadSome(gate + i, rest), LoadSome(up + i, rest), LoadSome(d_out + i, rest));
    StoreSome(d_gate + i, d.gate, rest);
    StoreSome(d_up + i, d.up, rest);
  }
}

}  // namespace

void GateForward(const GateTask& task, int64_t first, int64_t end) {
  (task.is_bf16 ? Forward<Bf16> : Forward<float>)(task, first, end);
}

void GateBackward(const GateTask& task, int64_t first, int64_t end) {
  (task.is_bf16 ? Backward<Bf16> : Backward<float>)(task, first, end);
}

}  // namespace tanren::kernels::TANREN_ISA
