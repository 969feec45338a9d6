// Runs one differentiable function in a dtype and in fp64 from the same (rounded) inputs, and holds
// values and gradients of the first against the second.
#ifndef TANREN_TESTS_RUNTIME_KERNELS_FP64_REFERENCE_H_
#define TANREN_TESTS_RUNTIME_KERNELS_FP64_REFERENCE_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace tanren::kernels {

using Tensors = std::vector<at::Tensor>;
using TensorFunction = std::function<at::Tensor(const Tensors&)>;

// Normally distributed numbers, the same for the same seed, rounded to `dtype`.
at::Tensor Random(at::IntArrayRef shape, int seed, at::ScalarType dtype = at::kFloat);

// max |a − b| ≤ tolerance · max |b|, and the same shape. Where b is almost nothing, a may be too:
// inputs are of order 1, so it counts as 0.01.
void ExpectClose(const at::Tensor& found, const at::Tensor& expected, double tolerance,
                 const char* what);

// How far a result in `dtype` may be from fp64: a few roundings.
double Tolerance(at::ScalarType dtype);

// The value of `function` and its gradients by every input, for a random derivative of the value.
Tensors ValueAndGradients(const TensorFunction& function, const Tensors& inputs);

// `function` on `inputs` against `reference` on their fp64 copies. Also: without a graph the value
// is the same to the last bit.
void ExpectMatchesFp64(const TensorFunction& function, const TensorFunction& reference,
                       const Tensors& inputs);

}  // namespace tanren::kernels

#endif  // TANREN_TESTS_RUNTIME_KERNELS_FP64_REFERENCE_H_
