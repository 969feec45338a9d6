#include "runtime/kernels/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "runtime/base/error.h"
#include "runtime/kernels/products.h"

namespace tanren::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor Forward(const at::Tensor& x_TD, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor out = at::empty({x_TD.size(0), weight.size(0)}, x_TD.options());
  Multiply(x_TD, weight.t(), out);
  return bias.defined() ? out.add_(bias) : out;
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_TD,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    context->save_for_backward({x_TD, weight});
    context->saved_data["bias"] = bias.has_value();
    return Forward(x_TD, weight, bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor d_x, d_weight, d_bias;
    if (context->needs_input_grad(0)) Multiply(gradient, weight, d_x = at::empty_like(x));
    if (context->needs_input_grad(1)) {
      Multiply(gradient.t(), x, d_weight = at::empty(weight.sizes(), weight.options()));
    }
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) {
      d_bias = gradient.sum(0, false, at::kFloat).to(gradient.scalar_type());
    }
    return {d_x, d_weight, d_bias};
  }
};

}  // namespace

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight_OD, const at::Tensor& bias_O) {
  TANREN_CHECK(x.dim() >= 1 && weight_OD.dim() == 2 && x.size(-1) == weight_OD.size(1),
               "a linear layer's input {} and weight {}", c10::str(x.sizes()),
               c10::str(weight_OD.sizes()));
  const bool own = x.scalar_type() == weight_OD.scalar_type() &&
                   MultipliesHere(x, weight_OD, x.numel() / std::max<int64_t>(x.size(-1), 1));
  const auto bias = bias_O.defined() ? std::optional(bias_O) : std::nullopt;
  if (!own) return at::linear(x, weight_OD, bias);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight_OD.size(0);
  return LinearFunction::apply(x.reshape({-1, x.size(-1)}).contiguous(), weight_OD, bias)
      .view(shape);
}

}  // namespace tanren::kernels
