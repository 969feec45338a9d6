#include "runtime/kernels/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "runtime/base/error.h"
#include "runtime/kernels/affine.h"
#include "runtime/kernels/products.h"
#include "runtime/kernels/row_passes.h"

namespace tanren::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_TD,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    context->save_for_backward({x_TD, weight});
    context->saved_data["bias"] = bias.has_value();
    return AffineForward(x_TD, weight, bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor d_x, d_weight, d_bias;
    if (context->needs_input_grad(0)) Multiply(gradient, weight, d_x = at::empty_like(x));
    if (context->needs_input_grad(1)) d_weight = AffineWeightGradient(gradient, x, weight);
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) {
      d_bias = AffineBiasGradient(gradient);
    }
    return {d_x, d_weight, d_bias};
  }
};

}  // namespace

at::Tensor AffineForward(const at::Tensor& x_TD, const at::Tensor& weight_OD,
                         const at::Tensor& bias_O) {
  at::Tensor out =
      at::empty({x_TD.size(0), weight_OD.size(0)}, x_TD.options().requires_grad(false));
  Multiply(x_TD, weight_OD.t(), out);
  return bias_O.defined() ? out.add_(bias_O) : out;
}

at::Tensor AffineWeightGradient(const at::Tensor& d_out_TO, const at::Tensor& x_TD,
                                const at::Tensor& weight_OD) {
  at::Tensor gradient = at::empty(weight_OD.sizes(), weight_OD.options().requires_grad(false));
  Multiply(d_out_TO.t(), x_TD, gradient);
  return gradient;
}

at::Tensor AffineBiasGradient(const at::Tensor& d_out_TO) {
  return d_out_TO.sum(0, false, at::kFloat).to(d_out_TO.scalar_type());
}

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight_OD, const at::Tensor& bias_O) {
  TANREN_CHECK(x.dim() >= 1 && weight_OD.dim() == 2 && x.size(-1) == weight_OD.size(1),
               "a linear layer's input {} and weight {}", c10::str(x.sizes()),
               c10::str(weight_OD.sizes()));
  const bool own = x.scalar_type() == weight_OD.scalar_type() && TakesRowPasses(x);
  const auto bias = bias_O.defined() ? std::optional(bias_O) : std::nullopt;
  if (!own) return at::linear(x, weight_OD, bias);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight_OD.size(0);
  return LinearFunction::apply(x.reshape({-1, x.size(-1)}).contiguous(), weight_OD, bias)
      .view(shape);
}

}  // namespace tanren::kernels
