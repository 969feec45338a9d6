#include "runtime/kernels/device_passes.h"

#include <ATen/ATen.h>

#include "runtime/kernels/device_kernels.h"

namespace tanren::kernels {

Normed DeviceNormForward(const at::Tensor& x, const at::Tensor& weight_D, double epsilon) {
  const at::NoGradGuard no_grad;
  if (const DeviceKernels* const device = DeviceKernelsFor(x)) {
    const int64_t rows = x.size(-1) == 0 ? 0 : x.numel() / x.size(-1);
    const Normed normed{at::empty_like(x), at::empty({rows}, x.options().dtype(at::kFloat))};
    device->NormForward(x, weight_D, epsilon, normed.out, normed.inverse_rms);
    return normed;
  }
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor inverse_rms = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true).add_(epsilon));
  return {weight_D * (wide * inverse_rms).to(x.scalar_type()), inverse_rms};
}

// With n = x · r, r = 1 / rms(x) and g = d_out · weight:  d_x = r (g − n mean(g n)).
NormDerivatives DeviceNormBackward(const at::Tensor& x, const at::Tensor& weight_D,
                                   const at::Tensor& inverse_rms, const at::Tensor& d_out) {
  const at::NoGradGuard no_grad;
  const DeviceKernels* const device = DeviceKernelsFor(x);
  if (device != nullptr && device->TakesNormBackward(x.size(-1), x.scalar_type())) {
    return device->NormBackward(x, weight_D, inverse_rms, d_out);
  }
  if (device != nullptr) {
    std::vector<int64_t> each_row = x.sizes().vec();
    each_row.back() = 1;
    const auto [d_x, d_weight] = at::_fused_rms_norm_backward(
        d_out, x, weight_D.sizes(), inverse_rms.view(each_row), weight_D, {true, true});
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
  if (const DeviceKernels* const device = DeviceKernelsFor(gate)) {
    const at::Tensor out = at::empty_like(gate);
    device->GateForward(gate, up, out);
    return out;
  }
  return at::silu(gate.to(at::kFloat)).mul_(up).to(gate.scalar_type());
}

GateDerivatives DeviceGateBackward(const at::Tensor& gate, const at::Tensor& up,
                                   const at::Tensor& d_out, const at::Tensor& out) {
  const at::NoGradGuard no_grad;
  if (const DeviceKernels* const device = DeviceKernelsFor(gate)) {
    const GateDerivatives d{at::empty_like(gate), at::empty_like(up)};
    device->GateBackward(gate, up, d_out, d.gate, d.up, out);
    return d;
  }
  const at::Tensor wide = gate.to(at::kFloat), wide_d_out = d_out.to(at::kFloat);
  const at::Tensor silu = at::silu(wide);
  if (out.defined()) at::Tensor(out).copy_(silu * up);
  return {at::silu_backward(wide_d_out * up, wide).to(gate.scalar_type()),
          (silu * wide_d_out).to(up.scalar_type())};
}

}  // namespace tanren::kernels
