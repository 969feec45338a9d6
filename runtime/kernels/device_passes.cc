#include "runtime/kernels/device_passes.h"

#include <ATen/ATen.h>

namespace tanren::kernels {

Normed DeviceNormForward(const at::Tensor& x, const at::Tensor& weight_D, double epsilon) {
  const at::NoGradGuard no_grad;
  if (x.is_cuda()) {
    const auto [out, inverse_rms] = at::_fused_rms_norm(x, weight_D.sizes(), weight_D, epsilon);
    return {out, inverse_rms};
  }
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor inverse_rms = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true).add_(epsilon));
  return {weight_D * (wide * inverse_rms).to(x.scalar_type()), inverse_rms};
}

// With n = x · r, r = 1 / rms(x) and g = d_out · weight:  d_x = r (g − n mean(g n)).
NormDerivatives DeviceNormBackward(const at::Tensor& x, const at::Tensor& weight_D,
                                   const at::Tensor& inverse_rms, const at::Tensor& d_out) {
  const at::NoGradGuard no_grad;
  if (x.is_cuda()) {
    const auto [d_x, d_weight] = at::_fused_rms_norm_backward(d_out, x, weight_D.sizes(),
                                                              inverse_rms, weight_D, {true, true});
    return {d_x, d_weight};
  }
  const at::Tensor normal = x.to(at::kFloat) * inverse_rms;
  const at::Tensor wide = d_out.to(at::kFloat);
  const at::Tensor by_normal = wide * weight_D;
  const at::Tensor d_x =
      (by_normal - normal * (by_normal * normal).mean(-1, /*keepdim=*/true)) * inverse_rms;
  return {d_x.to(x.scalar_type()),
          (wide * normal).view({-1, x.size(-1)}).sum(0).to(weight_D.scalar_type())};
}

at::Tensor DeviceGateForward(const at::Tensor& gate, const at::Tensor& up) {
  const at::NoGradGuard no_grad;
  return at::silu(gate.to(at::kFloat)).mul_(up).to(gate.scalar_type());
}

GateDerivatives DeviceGateBackward(const at::Tensor& gate, const at::Tensor& up,
                                   const at::Tensor& d_out, const at::Tensor& out) {
  const at::NoGradGuard no_grad;
  const at::Tensor wide = gate.to(at::kFloat), wide_d_out = d_out.to(at::kFloat);
  const at::Tensor silu = at::silu(wide);
  if (out.defined()) at::Tensor(out).copy_(silu * up);
  return {at::silu_backward(wide_d_out * up, wide).to(gate.scalar_type()),
          (silu * wide_d_out).to(up.scalar_type())};
}

}  // namespace tanren::kernels
