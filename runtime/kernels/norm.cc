#include "runtime/kernels/norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/kernels/composed.h"
#include "runtime/kernels/cpu/kernel_table.h"
#include "runtime/kernels/device_passes.h"
#include "runtime/kernels/row_passes.h"

namespace tanren::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows that one sum of the weight's gradient covers: fixed, so that the number of threads changes
// no bit.
constexpr int64_t kRowBlock = 64;
constexpr int64_t kGrain = 1 << 15;  // elements a thread is worth its start for

int64_t RowsOf(const at::Tensor& x) { return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1); }

NormTask TaskOf(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& inverse_rms) {
  NormTask task{};
  task.x = x.const_data_ptr();
  task.weight = weight.const_data_ptr();
  task.is_bf16 = x.scalar_type() == at::kBFloat16;
  task.width = x.size(-1);
  task.inverse_rms = inverse_rms.mutable_data_ptr<float>();
  return task;
}

class NormFunction : public torch::autograd::Function<NormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double epsilon) {
    const Normed normed = NormForward(x, weight, epsilon);
    context->save_for_backward({x, weight, normed.inverse_rms});
    return normed.out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    NormDerivatives d = NormBackward(saved[0], saved[1], saved[2], gradients[0].contiguous());
    return {d.x, d.weight_D, {}};
  }
};

}  // namespace

Normed NormForward(const at::Tensor& x, const at::Tensor& weight_D, double epsilon) {
  if (!x.is_cpu()) return DeviceNormForward(x, weight_D, epsilon);
  const Normed normed{at::empty(x.sizes(), x.options().requires_grad(false)),
                      at::empty({RowsOf(x)}, at::kFloat)};
  NormTask task = TaskOf(x, weight_D, normed.inverse_rms);
  task.epsilon = static_cast<float>(epsilon);
  task.out = normed.out.mutable_data_ptr();
  at::parallel_for(0, RowsOf(x), std::max<int64_t>(1, kGrain / std::max<int64_t>(task.width, 1)),
                   [&](int64_t first, int64_t end) { Kernels().norm_forward(task, first, end); });
  return normed;
}

NormDerivatives NormBackward(const at::Tensor& x, const at::Tensor& weight_D,
                             const at::Tensor& inverse_rms, const at::Tensor& d_out) {
  if (!x.is_cpu()) return DeviceNormBackward(x, weight_D, inverse_rms, d_out);
  const at::Tensor d_x = at::empty_like(x);
  NormTask task = TaskOf(x, weight_D, inverse_rms);
  task.d_out = d_out.const_data_ptr();
  task.d_x = d_x.mutable_data_ptr();
  const int64_t rows = RowsOf(x), blocks = (rows + kRowBlock - 1) / kRowBlock;
  const at::Tensor sums = at::zeros({blocks, task.width}, at::kFloat);
  float* const sum = sums.mutable_data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t end) {
    for (int64_t block = first; block < end; ++block) {
      Kernels().norm_backward(task, block * kRowBlock, std::min(rows, (block + 1) * kRowBlock),
                              sum + block * task.width);
    }
  });
  return {d_x, sums.sum(0).to(weight_D.scalar_type())};
}

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight_D, double epsilon) {
  TANREN_CHECK(x.dim() >= 1 && weight_D.dim() == 1 && x.size(-1) == weight_D.size(0),
               "RMSNorm of {} with a weight of {}", c10::str(x.sizes()),
               c10::str(weight_D.sizes()));
  if (!TakesRowPasses(x)) return ComposedRmsNorm(x, weight_D, epsilon);
  return NormFunction::apply(x.contiguous(), weight_D.to(x.scalar_type()).contiguous(), epsilon);
}

}  // namespace tanren::kernels
