// The CPU kernels against the same operations composed of ATen's, in one run, at the shapes of
// SmolLM2-135M. Run with --benchmark_repetitions=5 --benchmark_report_aggregates_only=true for
// medians. Argument 0 is the kernel (0: composed of ATen's, 1: ours), argument 1 the number of
// tokens.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "runtime/kernels/attention.h"
#include "runtime/kernels/composed.h"
#include "runtime/kernels/linear.h"
#include "runtime/kernels/linear_cross_entropy.h"
#include "runtime/kernels/norm.h"
#include "runtime/kernels/rotary.h"
#include "runtime/kernels/rotary_frequencies.h"
#include "runtime/kernels/swiglu.h"

namespace tanren::kernels {
namespace {

constexpr int64_t kWidth = 576, kHeads = 9, kKeyHeads = 3, kHeadSize = 64, kFfn = 1536;
constexpr int64_t kVocabulary = 49152;
constexpr double kEpsilon = 1e-5, kScale = 0.125;

using Tensors = std::vector<at::Tensor>;

at::Tensor Values(at::IntArrayRef shape, at::ScalarType dtype = at::kBFloat16) {
  return at::randn(shape).to(dtype);
}

// Forward and backward by every input.
void RunWithGradients(benchmark::State& state, Tensors inputs,
                      const std::function<at::Tensor(const Tensors&)>& function) {
  for (at::Tensor& input : inputs) input.requires_grad_();
  for (auto _ : state) {
    const at::Tensor out = function(inputs);
    benchmark::DoNotOptimize(torch::autograd::grad({out}, inputs, {at::ones_like(out)}));
  }
}

void RmsNormStep(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  RunWithGradients(
      state, {Values({state.range(1), kWidth}), Values({kWidth})}, [&](const Tensors& in) {
        return ours ? RmsNorm(in[0], in[1], kEpsilon) : ComposedRmsNorm(in[0], in[1], kEpsilon);
      });
}

void SwiGluStep(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  RunWithGradients(state, {Values({state.range(1), kFfn}), Values({state.range(1), kFfn})},
                   [&](const Tensors& in) {
                     return ours ? SwiGlu(in[0], in[1]) : ComposedSwiGlu(in[0], in[1]);
                   });
}

void RotaryStep(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const RotaryTable table = MakeRotaryTable(InverseFrequencies(kHeadSize, 1e5),
                                            at::arange(state.range(1)), at::kBFloat16);
  RunWithGradients(state, {Values({state.range(1), kHeads, kHeadSize})}, [&](const Tensors& in) {
    return ours ? Rotary(in[0], table) : ComposedRotary(in[0], table);
  });
}

// Documents of 512 tokens.
void AttentionStep(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const int64_t tokens = state.range(1);
  const at::Tensor offsets = at::arange(0, tokens + 1, 512);
  RunWithGradients(state,
                   {Values({tokens, kHeads, kHeadSize}), Values({tokens, kKeyHeads, kHeadSize}),
                    Values({tokens, kKeyHeads, kHeadSize})},
                   [&](const Tensors& in) {
                     return ours ? DocumentAttention(in[0], in[1], in[2], offsets, kScale)
                                 : ComposedDocumentAttention(in[0], in[1], in[2], offsets, kScale);
                   });
}

// The up projection, in bf16 or (argument 2) fp32.
void LinearStep(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const auto dtype = state.range(2) != 0 ? at::kFloat : at::kBFloat16;
  RunWithGradients(
      state, {Values({state.range(1), kWidth}, dtype), Values({kFfn, kWidth}, dtype)},
      [&](const Tensors& in) { return ours ? Linear(in[0], in[1]) : at::linear(in[0], in[1]); });
  state.counters["GFLOP/s"] = benchmark::Counter(6e-9 * state.range(1) * kWidth * kFfn,
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

// All of a token's matrix products at batch 1, or the few sequences of argument 1: 135 million bf16
// weights are read.
void GenerateToken(benchmark::State& state) {
  at::NoGradGuard no_grad;
  const bool ours = state.range(0) != 0;
  const int64_t rows = state.range(1);
  Tensors weights;
  for (int layer = 0; layer < 30; ++layer) {
    for (const int64_t out : {kWidth, int64_t{192}, int64_t{192}, kWidth, kFfn, kFfn}) {
      weights.push_back(Values({out, kWidth}));
    }
    weights.push_back(Values({kWidth, kFfn}));
  }
  weights.push_back(Values({kVocabulary, kWidth}));
  const at::Tensor narrow = Values({rows, kWidth}), wide = Values({rows, kFfn});
  for (auto _ : state) {
    for (const at::Tensor& weight : weights) {
      const at::Tensor& x = weight.size(1) == kWidth ? narrow : wide;
      benchmark::DoNotOptimize(ours ? Linear(x, weight) : at::linear(x, weight));
    }
  }
  state.counters["tokens/s"] =
      benchmark::Counter(rows, benchmark::Counter::kIsIterationInvariantRate);
}

void HeadStep(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const int64_t tokens = state.range(1);
  at::Tensor hidden = Values({tokens, kWidth}), weight = Values({kVocabulary, kWidth}) * 0.05;
  const at::Tensor targets = at::randint(kVocabulary, {tokens});
  if (ours) {
    at::Tensor gradient = at::zeros({kVocabulary, kWidth});
    const at::Tensor weights = at::ones({tokens});
    for (auto _ : state) {
      benchmark::DoNotOptimize(LinearCrossEntropy(hidden, weight, targets, weights, 1, &gradient));
    }
    return;
  }
  RunWithGradients(state, {hidden, weight}, [&](const Tensors& in) {
    return at::cross_entropy_loss(at::linear(in[0], in[1]).to(at::kFloat), targets, {},
                                  at::Reduction::Sum);
  });
}

void Tokens(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgsProduct({{0, 1}, {1024, 2048}})->Unit(benchmark::kMillisecond)->UseRealTime();
}
void TokensAndDtype(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgsProduct({{0, 1}, {1024, 2048}, {0, 1}})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

BENCHMARK(RmsNormStep)->Apply(Tokens);
BENCHMARK(SwiGluStep)->Apply(Tokens);
BENCHMARK(RotaryStep)->Apply(Tokens);
BENCHMARK(AttentionStep)->Apply(Tokens);
BENCHMARK(LinearStep)->Apply(TokensAndDtype);
BENCHMARK(GenerateToken)
    ->ArgsProduct({{0, 1}, {1, 4, 16, 32, 64, 128}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(HeadStep)->ArgsProduct({{0, 1}, {512}})->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace tanren::kernels

BENCHMARK_MAIN();
