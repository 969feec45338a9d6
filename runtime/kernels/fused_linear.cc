#include "runtime/kernels/fused_linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/kernels/affine.h"
#include "runtime/kernels/linear.h"
#include "runtime/kernels/norm.h"
#include "runtime/kernels/products.h"
#include "runtime/kernels/row_passes.h"
#include "runtime/kernels/swiglu.h"

namespace tanren::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Inputs in the order of their gradients: x, norm weight, the maps' weights, then those biases that
// there are.
class NormedLinearsFunction : public torch::autograd::Function<NormedLinearsFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& x,
                               const at::Tensor& norm_weight, double epsilon,
                               at::TensorList weights, at::TensorList biases) {
    const Normed normed = NormForward(x, norm_weight, epsilon);
    variable_list saved = {x, norm_weight, normed.inverse_rms};
    variable_list out;
    auto bias = biases.begin();
    for (const at::Tensor& weight : weights) {
      saved.push_back(weight);
      out.push_back(AffineForward(normed.out, weight, biases.empty() ? at::Tensor() : *bias++));
    }
    context->save_for_backward(std::move(saved));
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["biases"] = static_cast<int64_t>(biases.size());
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    constexpr size_t kFirstWeight = 3;
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &norm_weight = saved[1];
    const size_t maps = saved.size() - kFirstWeight;
    const bool with_bias = context->saved_data["biases"].toInt() > 0;
    const at::Tensor normed =
        NormForward(x, norm_weight, context->saved_data["epsilon"].toDouble()).out;

    variable_list d_weights(maps), d_biases(with_bias ? maps : 0);
    const at::Tensor d_normed = at::empty_like(x);
    bool any = false;
    for (size_t i = 0; i < maps; ++i) {
      if (!gradients[i].defined()) continue;
      const at::Tensor& weight = saved[kFirstWeight + i];
      const at::Tensor d_out = gradients[i].contiguous();
      Multiply(d_out, weight, d_normed, any ? Into::kAdd : Into::kReplace);
      any = true;
      if (context->needs_input_grad(2 + i))
        d_weights[i] = AffineWeightGradient(d_out, normed, weight);
      if (with_bias) d_biases[i] = AffineBiasGradient(d_out);
    }
    NormDerivatives d;
    if (any) d = NormBackward(x, norm_weight, saved[2], d_normed);
    variable_list result = {d.x, d.weight_D, {}};
    result.insert(result.end(), d_weights.begin(), d_weights.end());
    result.insert(result.end(), d_biases.begin(), d_biases.end());
    return result;
  }
};

class GatedLinearFunction : public torch::autograd::Function<GatedLinearFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    context->save_for_backward({gate, up, weight});
    context->saved_data["bias"] = bias.has_value();
    return AffineForward(GateForward(gate, up), weight, bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1], &weight = saved[2];
    const at::Tensor d_out = gradients[0].contiguous();
    const at::Tensor d_gated = at::empty_like(gate);
    Multiply(d_out, weight, d_gated);
    at::Tensor gated;
    if (context->needs_input_grad(2)) gated = at::empty_like(gate);
    const GateDerivatives d = GateBackward(gate, up, d_gated, gated);
    at::Tensor d_weight, d_bias;
    if (gated.defined()) d_weight = AffineWeightGradient(d_out, gated, weight);
    if (context->saved_data["bias"].toBool()) d_bias = AffineBiasGradient(d_out);
    return {d.gate, d.up, d_weight, d_bias};
  }
};

bool HaveDtype(const std::vector<AffineWeights>& maps, at::ScalarType dtype) {
  return std::all_of(maps.begin(), maps.end(), [&](const AffineWeights& map) {
    return map.weight_OD.scalar_type() == dtype &&
           map.bias_O.defined() == maps.front().bias_O.defined();
  });
}

}  // namespace

std::vector<at::Tensor> NormedLinears(const at::Tensor& x_TD, const at::Tensor& norm_weight_D,
                                      double epsilon, const std::vector<AffineWeights>& maps) {
  for (const AffineWeights& map : maps) {
    TANREN_CHECK(x_TD.dim() == 2 && norm_weight_D.dim() == 1 && map.weight_OD.dim() == 2 &&
                     x_TD.size(1) == norm_weight_D.size(0) && x_TD.size(1) == map.weight_OD.size(1),
                 "a norm of {} with a weight of {}, then a linear layer of {}",
                 c10::str(x_TD.sizes()), c10::str(norm_weight_D.sizes()),
                 c10::str(map.weight_OD.sizes()));
  }
  std::vector<at::Tensor> out;
  if (maps.empty()) return out;
  if (!TakesRowPasses(x_TD) || norm_weight_D.scalar_type() != x_TD.scalar_type() ||
      !HaveDtype(maps, x_TD.scalar_type())) {
    const at::Tensor normed = RmsNorm(x_TD, norm_weight_D, epsilon);
    for (const AffineWeights& map : maps) out.push_back(Linear(normed, map.weight_OD, map.bias_O));
    return out;
  }
  std::vector<at::Tensor> weights, biases;
  for (const AffineWeights& map : maps) {
    weights.push_back(map.weight_OD);
    if (map.bias_O.defined()) biases.push_back(map.bias_O);
  }
  return NormedLinearsFunction::apply(x_TD.contiguous(), norm_weight_D.contiguous(), epsilon,
                                      at::TensorList(weights), at::TensorList(biases));
}

at::Tensor GatedLinear(const at::Tensor& gate_TF, const at::Tensor& up_TF,
                       const AffineWeights& map) {
  TANREN_CHECK(gate_TF.dim() == 2 && gate_TF.sizes() == up_TF.sizes() && map.weight_OD.dim() == 2 &&
                   gate_TF.size(1) == map.weight_OD.size(1),
               "SwiGLU of {} and {}, then a linear layer of {}", c10::str(gate_TF.sizes()),
               c10::str(up_TF.sizes()), c10::str(map.weight_OD.sizes()));
  const auto dtype = gate_TF.scalar_type();
  if (!TakesRowPasses(gate_TF) || up_TF.scalar_type() != dtype ||
      map.weight_OD.scalar_type() != dtype) {
    return Linear(SwiGlu(gate_TF, up_TF), map.weight_OD, map.bias_O);
  }
  return GatedLinearFunction::apply(
      gate_TF.contiguous(), up_TF.contiguous(), map.weight_OD,
      map.bias_O.defined() ? std::optional(map.bias_O) : std::nullopt);
}

}  // namespace tanren::kernels
