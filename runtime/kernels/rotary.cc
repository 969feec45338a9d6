#include "runtime/kernels/rotary.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/kernels/composed.h"
#include "runtime/kernels/cpu/kernel_table.h"
#include "runtime/kernels/cpu/scratch.h"
#include "runtime/kernels/device_copy.h"
#include "runtime/kernels/device_kernels.h"

namespace tanren::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 1 << 14;  // elements a thread is worth its start for

bool IsFloatOrBf16(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

bool HasKernel(const at::Tensor& x, const RotaryTable& table) {
  const at::Tensor &cos = table.cos_Td, &sin = table.sin_Td;
  if (cos.scalar_type() != sin.scalar_type()) return false;
  if (IsFloatOrBf16(x)) return IsFloatOrBf16(cos);
  return DeviceKernelsFor(x) != nullptr && cos.scalar_type() == x.scalar_type();
}

at::Tensor Rotated(const at::Tensor& x_THd, const at::Tensor& cos_Td, const at::Tensor& sin_Td,
                   float direction) {
  const at::Tensor x = x_THd.stride(2) == 1 ? x_THd : x_THd.contiguous();
  const at::Tensor out = at::empty(x.sizes(), x.options());
  if (const DeviceKernels* const device = DeviceKernelsFor(x)) {
    device->Rotate(x, cos_Td, sin_Td, /*backward=*/direction < 0, out);
    return out;
  }
  RotaryTask task{};
  task.x = x.const_data_ptr();
  task.is_bf16 = x.scalar_type() == at::kBFloat16;
  task.token_stride = x.stride(0);
  task.head_stride = x.stride(1);
  task.heads = x.size(1);
  task.size = x.size(2);
  task.cos = cos_Td.const_data_ptr();
  task.sin = sin_Td.const_data_ptr();
  task.table_is_bf16 = cos_Td.scalar_type() == at::kBFloat16;
  task.direction = direction;
  task.out = out.mutable_data_ptr();
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, task.heads * task.size));
  at::parallel_for(0, x.size(0), grain, [&](int64_t first, int64_t end) {
    Kernels().rotate(task, first, end, ThreadScratch(2 * task.size));
  });
  return out;
}

class RotaryFunction : public torch::autograd::Function<RotaryFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return Rotated(x, cos, sin, 1);
  }

  // The transpose of a rotation turns back.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {Rotated(gradients[0], saved[0], saved[1], -1), {}, {}};
  }
};

}  // namespace

RotaryTable MakeRotaryTable(std::span<const double> inverse_frequencies,
                            const at::Tensor& positions_T, at::ScalarType dtype) {
  at::NoGradGuard no_grad;
  const int64_t half = static_cast<int64_t>(inverse_frequencies.size());
  at::Tensor frequencies = at::empty({half}, at::kFloat);
  for (int64_t i = 0; i < half; ++i) {
    frequencies.data_ptr<float>()[i] = static_cast<float>(inverse_frequencies[i]);
  }
  const at::Tensor angles = positions_T.to(at::kFloat).unsqueeze(1) *
                            ToDevice(frequencies, positions_T.device()).unsqueeze(0);
  const auto both_halves = [&](const at::Tensor& x) { return at::cat({x, x}, 1).to(dtype); };
  return {both_halves(at::cos(angles)), both_halves(at::sin(angles))};
}

at::Tensor Rotary(const at::Tensor& x_THd, const RotaryTable& table) {
  TANREN_CHECK(x_THd.dim() == 3 && table.cos_Td.dim() == 2 && x_THd.size(2) % 2 == 0 &&
                   x_THd.size(0) == table.cos_Td.size(0) && x_THd.size(2) == table.cos_Td.size(1) &&
                   table.cos_Td.sizes() == table.sin_Td.sizes(),
               "rotary embedding of {} with a table of {}", c10::str(x_THd.sizes()),
               c10::str(table.cos_Td.sizes()));
  if (!HasKernel(x_THd, table)) return ComposedRotary(x_THd, table);
  return RotaryFunction::apply(x_THd, table.cos_Td.contiguous(), table.sin_Td.contiguous());
}

}  // namespace tanren::kernels
