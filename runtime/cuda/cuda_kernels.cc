// kernels::DeviceKernels by the kernels of this folder.
#include <ATen/ops/clone.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "runtime/cuda/element_type_of.h"
#include "runtime/cuda/row_kernels.h"
#include "runtime/kernels/device_kernels.h"

namespace tanren::cuda {
namespace {

using kernels::NormDerivatives;
using kernels::RowStatistics;

void* Data(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr() : nullptr;
}

// The same at a place that kernels may read 16 bytes at a time from.
at::Tensor Aligned(const at::Tensor& x) {
  return reinterpret_cast<uintptr_t>(Data(x)) % 16 == 0 ? x : x.clone();
}

// Has `launch(stream)` done on x's device.
template <typename Launch>
void Do(const char* what, const at::Tensor& x, const Launch& launch) {
  const c10::cuda::CUDAGuard guard(x.device());
  const cudaError_t result = launch(c10::cuda::getCurrentCUDAStream().stream());
  if (result == cudaSuccess) return;
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(result));
}

class CudaKernels final : public kernels::DeviceKernels {
 public:
  void NormForward(const at::Tensor& x, const at::Tensor& weight_D, double epsilon,
                   const at::Tensor& out, const at::Tensor& inverse_rms) const override {
    NormArguments task = Norm(x, weight_D, inverse_rms);
    task.epsilon = static_cast<float>(epsilon);
    task.out = Data(out);
    Do("RMSNorm", x, [&](cudaStream_t stream) {
      return LaunchNormForward(*ElementTypeOf(x.scalar_type()), task, stream);
    });
  }

  bool TakesNormBackward(int64_t width, at::ScalarType dtype) const override {
    const std::optional<ElementType> type = ElementTypeOf(dtype);
    return type.has_value() && cuda::TakesNormBackward(*type, width);
  }

  NormDerivatives NormBackward(const at::Tensor& given_x, const at::Tensor& given_weight_D,
                               const at::Tensor& inverse_rms,
                               const at::Tensor& given_d_out) const override {
    const at::Tensor x = Aligned(given_x), weight_D = Aligned(given_weight_D),
                     d_out = Aligned(given_d_out);
    NormArguments task = Norm(x, weight_D, inverse_rms);
    const at::Tensor d_x = at::empty(x.sizes(), x.options());
    const at::Tensor partials =
        at::empty({cuda::NormPartials(task.rows), task.width}, x.options().dtype(at::kFloat));
    task.d_out = Data(d_out);
    task.d_x = Data(d_x);
    task.partials = static_cast<float*>(Data(partials));
    Do("RMSNorm's derivative", x, [&](cudaStream_t stream) {
      return LaunchNormBackward(*ElementTypeOf(x.scalar_type()), task, stream);
    });
    return {d_x, partials.sum(0).to(weight_D.scalar_type())};
  }

  void GateForward(const at::Tensor& gate, const at::Tensor& up,
                   const at::Tensor& out) const override {
    const GateArguments task{Data(gate), Data(up),  nullptr,     nullptr,
                             nullptr,    Data(out), gate.numel()};
    Do("SwiGLU", gate, [&](cudaStream_t stream) {
      return LaunchGateForward(*ElementTypeOf(gate.scalar_type()), task, stream);
    });
  }

  void GateBackward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& d_out,
                    const at::Tensor& d_gate, const at::Tensor& d_up,
                    const at::Tensor& out) const override {
    const GateArguments task{Data(gate), Data(up),  Data(d_out), Data(d_gate),
                             Data(d_up), Data(out), gate.numel()};
    Do("SwiGLU's derivative", gate, [&](cudaStream_t stream) {
      return LaunchGateBackward(*ElementTypeOf(gate.scalar_type()), task, stream);
    });
  }

  void Rotate(const at::Tensor& x_THd, const at::Tensor& cos_Td, const at::Tensor& sin_Td,
              bool backward, const at::Tensor& out_THd) const override {
    const RotaryArguments task{Data(x_THd),   x_THd.stride(0), x_THd.stride(1), x_THd.size(0),
                               x_THd.size(1), x_THd.size(2),   Data(cos_Td),    Data(sin_Td),
                               backward,      Data(out_THd)};
    Do("rotary embedding", x_THd, [&](cudaStream_t stream) {
      return LaunchRotate(*ElementTypeOf(x_THd.scalar_type()), task, stream);
    });
  }

  void LogitStatistics(const at::Tensor& logits_RV, const at::Tensor& targets_R, double temperature,
                       const RowStatistics& statistics) const override {
    const LogitArguments task = Task(logits_RV, targets_R, temperature, statistics);
    Do("the logits' statistics", logits_RV,
       [&](cudaStream_t stream) { return LaunchLogitStatistics(task, stream); });
  }

  void LogitDerivatives(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                        const RowStatistics& statistics, const at::Tensor& d_logprob_R,
                        const at::Tensor& d_entropy_R, double temperature,
                        at::ScalarType dtype) const override {
    LogitArguments task = Task(logits_RV, targets_R, temperature, statistics);
    task.d_logprob = static_cast<const float*>(Data(d_logprob_R));
    task.d_entropy = static_cast<const float*>(Data(d_entropy_R));
    Do("the logits' derivatives", logits_RV, [&](cudaStream_t stream) {
      return LaunchLogitDerivatives(*ElementTypeOf(dtype), task, stream);
    });
  }

  void Convert(const at::Tensor& from, const at::Tensor& to) const override {
    Do("a conversion", from, [&](cudaStream_t stream) {
      return LaunchConvert(*ElementTypeOf(from.scalar_type()), Data(from),
                           *ElementTypeOf(to.scalar_type()), Data(to), from.numel(), stream);
    });
  }

  void AdamW(const at::Tensor& master, const at::Tensor& gradient, const at::Tensor& mean,
             const at::Tensor& square, const kernels::AdamWNumbers& numbers,
             const at::Tensor& inverse_scale) const override {
    const auto floats = [](const at::Tensor& x) { return static_cast<float*>(Data(x)); };
    const auto step = static_cast<double>(numbers.step);
    const double rate = numbers.learning_rate;
    AdamWArguments task{};
    task.master = floats(master);
    task.gradient = floats(gradient);
    task.mean = floats(mean);
    task.square = floats(square);
    task.count = master.numel();
    task.inverse_scale = floats(inverse_scale);
    task.beta1 = static_cast<float>(numbers.beta1);
    task.beta2 = static_cast<float>(numbers.beta2);
    task.epsilon = static_cast<float>(numbers.epsilon);
    task.keep = static_cast<float>(1 - rate * numbers.decay);
    task.step_size = static_cast<float>(rate / (1 - std::pow(numbers.beta1, step)));
    task.inverse_root_correction2 =
        static_cast<float>(1 / std::sqrt(1 - std::pow(numbers.beta2, step)));
    Do("AdamW", master, [&](cudaStream_t stream) { return LaunchAdamW(task, stream); });
  }

  at::Tensor SumOfSquares(const at::Tensor& x) const override {
    const at::TensorOptions options = x.options().dtype(at::kDouble);
    const at::Tensor sum = at::empty({}, options);
    const at::Tensor partials = at::empty({kSquaresPartials}, options);
    Do("a sum of squares", x, [&](cudaStream_t stream) {
      return LaunchSumOfSquares(static_cast<const float*>(Data(x)), x.numel(),
                                static_cast<double*>(Data(partials)),
                                static_cast<double*>(Data(sum)), stream);
    });
    return sum;
  }

 private:
  static NormArguments Norm(const at::Tensor& x, const at::Tensor& weight_D,
                            const at::Tensor& inverse_rms) {
    NormArguments task{};
    task.x = Data(x);
    task.weight = Data(weight_D);
    task.width = x.size(-1);
    task.rows = task.width == 0 ? 0 : x.numel() / task.width;
    task.inverse_rms = static_cast<float*>(Data(inverse_rms));
    return task;
  }

  static LogitArguments Task(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                             double temperature, const RowStatistics& statistics) {
    return {static_cast<float*>(Data(logits_RV)),
            logits_RV.size(0),
            logits_RV.size(1),
            static_cast<const int64_t*>(Data(targets_R)),
            static_cast<float>(1 / temperature),
            static_cast<float*>(Data(statistics.logprob_R)),
            static_cast<float*>(Data(statistics.logsumexp_R)),
            static_cast<float*>(Data(statistics.entropy_R)),
            nullptr,
            nullptr};
  }
};

}  // namespace
}  // namespace tanren::cuda

extern "C" __attribute__((visibility("default"))) tanren::kernels::DeviceKernels*
tanren_cuda_kernels() {
  static tanren::cuda::CudaKernels kernels;
  return &kernels;
}
