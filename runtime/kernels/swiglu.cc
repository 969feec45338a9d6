#include "runtime/kernels/swiglu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "runtime/base/error.h"
#include "runtime/kernels/composed.h"
#include "runtime/kernels/cpu/kernel_table.h"
#include "runtime/kernels/device_passes.h"
#include "runtime/kernels/row_passes.h"

namespace tanren::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 1 << 13;  // elements a thread is worth its start for

GateTask TaskOf(const at::Tensor& gate, const at::Tensor& up) {
  GateTask task{};
  task.gate = gate.const_data_ptr();
  task.up = up.const_data_ptr();
  task.is_bf16 = gate.scalar_type() == at::kBFloat16;
  return task;
}

class GateFunction : public torch::autograd::Function<GateFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate,
                            const at::Tensor& up) {
    context->save_for_backward({gate, up});
    return GateForward(gate, up);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const GateDerivatives d = GateBackward(saved[0], saved[1], gradients[0].contiguous());
    return {d.gate, d.up};
  }
};

}  // namespace

bool TakesRowPasses(const at::Tensor& x) {
  const at::ScalarType dtype = x.scalar_type();
  if (dtype == at::kHalf) return !x.is_cpu();
  return dtype == at::kFloat || dtype == at::kBFloat16;
}

at::Tensor GateForward(const at::Tensor& gate, const at::Tensor& up) {
  if (!gate.is_cpu()) return DeviceGateForward(gate, up);
  const at::Tensor out = at::empty(gate.sizes(), gate.options().requires_grad(false));
  GateTask task = TaskOf(gate, up);
  task.out = out.mutable_data_ptr();
  at::parallel_for(0, gate.numel(), kGrain,
                   [&](int64_t first, int64_t end) { Kernels().gate_forward(task, first, end); });
  return out;
}

GateDerivatives GateBackward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& d_out,
                             const at::Tensor& out) {
  if (!gate.is_cpu()) return DeviceGateBackward(gate, up, d_out, out);
  const GateDerivatives d{at::empty_like(gate), at::empty_like(up)};
  GateTask task = TaskOf(gate, up);
  task.d_out = d_out.const_data_ptr();
  task.d_gate = d.gate.mutable_data_ptr();
  task.d_up = d.up.mutable_data_ptr();
  task.out = out.defined() ? out.mutable_data_ptr() : nullptr;
  at::parallel_for(0, d_out.numel(), kGrain,
                   [&](int64_t first, int64_t end) { Kernels().gate_backward(task, first, end); });
  return d;
}

at::Tensor SwiGlu(const at::Tensor& gate_TF, const at::Tensor& up_TF) {
  TANREN_CHECK(gate_TF.sizes() == up_TF.sizes() && gate_TF.dtype() == up_TF.dtype(),
               "SwiGLU of a gate {} and an up projection {}", c10::str(gate_TF.sizes()),
               c10::str(up_TF.sizes()));
  if (!TakesRowPasses(gate_TF)) return ComposedSwiGlu(gate_TF, up_TF);
  return GateFunction::apply(gate_TF.contiguous(), up_TF.contiguous());
}

}  // namespace tanren::kernels
