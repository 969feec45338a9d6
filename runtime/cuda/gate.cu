// SwiGLU: bound by memory, so every thread moves 16 bytes at a time and each operand passes once.
#include "runtime/cuda/elements.cuh"
#include "runtime/cuda/row_kernels.h"

namespace tanren::cuda {
namespace {

__device__ float Sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }

template <typename T, int N>
__global__ void GateForwardKernel(const T* gate, const T* up, T* out, int64_t count) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
  if (i >= count) return;
  const Pack<T, N> gates = LoadPack<T, N>(gate + i), ups = LoadPack<T, N>(up + i);
  Pack<T, N> outs;
  for (int k = 0; k < N; ++k) {
    const float x = Load(gates.values[k]);
    Store(&outs.values[k], x * Sigmoid(x) * Load(ups.values[k]));
  }
  StorePack<T, N>(out + i, outs);
}

// With s = sigmoid(x): silu' = s (1 + x (1 − s)).
template <typename T, int N>
__global__ void GateBackwardKernel(const T* gate, const T* up, const T* d_out, T* d_gate, T* d_up,
                                   T* out, int64_t count) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
  if (i >= count) return;
  const Pack<T, N> gates = LoadPack<T, N>(gate + i), ups = LoadPack<T, N>(up + i),
                   d_outs = LoadPack<T, N>(d_out + i);
  Pack<T, N> d_gates, d_ups, outs;
  for (int k = 0; k < N; ++k) {
    const float x = Load(gates.values[k]), u = Load(ups.values[k]), d = Load(d_outs.values[k]);
    const float s = Sigmoid(x);
    Store(&d_gates.values[k], d * u * s * (1 + x * (1 - s)));
    Store(&d_ups.values[k], d * x * s);
    Store(&outs.values[k], x * s * u);
  }
  StorePack<T, N>(d_gate + i, d_gates);
  StorePack<T, N>(d_up + i, d_ups);
  if (out != nullptr) StorePack<T, N>(out + i, outs);
}

}  // namespace

cudaError_t LaunchGateForward(ElementType type, const GateArguments& gate, cudaStream_t stream) {
  if (gate.count == 0) return cudaSuccess;
  return VisitRowType(type, [&]<typename T>(T) {
    constexpr int N = kPack<T>;
    const auto launch = [&](auto* kernel, int each) {
      kernel<<<BlocksFor(gate.count, each), kThreads, 0, stream>>>(
          static_cast<const T*>(gate.gate), static_cast<const T*>(gate.up),
          static_cast<T*>(gate.out), gate.count);
    };
    const bool packs = gate.count % N == 0 && AreAligned(gate.gate, gate.up, gate.out);
    if (packs) {
      launch(GateForwardKernel<T, N>, N);
    } else {
      launch(GateForwardKernel<T, 1>, 1);
    }
    return cudaGetLastError();
  });
}

cudaError_t LaunchGateBackward(ElementType type, const GateArguments& gate, cudaStream_t stream) {
  if (gate.count == 0) return cudaSuccess;
  return VisitRowType(type, [&]<typename T>(T) {
    constexpr int N = kPack<T>;
    const auto launch = [&](auto* kernel, int each) {
      kernel<<<BlocksFor(gate.count, each), kThreads, 0, stream>>>(
          static_cast<const T*>(gate.gate), static_cast<const T*>(gate.up),
          static_cast<const T*>(gate.d_out), static_cast<T*>(gate.d_gate),
          static_cast<T*>(gate.d_up), static_cast<T*>(gate.out), gate.count);
    };
    const bool packs = gate.count % N == 0 &&
                       AreAligned(gate.gate, gate.up, gate.d_out, gate.d_gate, gate.d_up, gate.out);
    if (packs) {
      launch(GateBackwardKernel<T, N>, N);
    } else {
      launch(GateBackwardKernel<T, 1>, 1);
    }
    return cudaGetLastError();
  });
}

}  // namespace tanren::cuda
