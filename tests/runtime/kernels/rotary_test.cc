#include "runtime/kernels/rotary.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/base/error.h"
#include "runtime/kernels/rotary_frequencies.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

RotaryTable TableOf(int64_t tokens, int64_t head_size, at::ScalarType dtype) {
  return MakeRotaryTable(InverseFrequencies(head_size, 1e4), at::arange(tokens) * 3, dtype);
}

// Each pair (i, i + d/2) as a complex number, multiplied by cos + i sin.
at::Tensor Turned(const at::Tensor& x, const RotaryTable& table) {
  const int64_t half = x.size(2) / 2;
  const at::Tensor low = x.slice(2, 0, half), high = x.slice(2, half);
  const at::Tensor cos = table.cos_Td.to(at::kDouble).slice(1, 0, half).unsqueeze(1);
  const at::Tensor sin = table.sin_Td.to(at::kDouble).slice(1, 0, half).unsqueeze(1);
  return at::cat({low * cos - high * sin, low * sin + high * cos}, 2);
}

TEST(Rotary, ValueAndGradientAreThoseOfFp64) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& shape : std::vector<std::vector<int64_t>>{
             {1, 1, 2}, {5, 9, 64}, {3, 2, 10}, {70, 1, 128}, {0, 3, 8}}) {
      const RotaryTable table = TableOf(shape[0], shape[2], dtype);
      ExpectMatchesFp64([&](const Tensors& in) { return Rotary(in[0], table); },
                        [&](const Tensors& in) { return Turned(in[0], table); },
                        {Random(shape, 1, dtype)});
    }
  }
}

TEST(Rotary, ScoresDependOnTheDistanceAlone) {
  const auto frequencies = InverseFrequencies(64, 1e4);
  const at::Tensor q = Random({1, 1, 64}, 1), k = Random({1, 1, 64}, 2);
  const auto score = [&](int64_t query, int64_t key) {
    const auto at_position = [&](int64_t position) {
      return MakeRotaryTable(frequencies, at::full({1}, position, at::kLong), at::kFloat);
    };
    return (Rotary(q, at_position(query)) * Rotary(k, at_position(key))).sum().item<double>();
  };
  EXPECT_NEAR(score(17, 5), score(112, 100), 1e-4);
  EXPECT_GT(std::abs(score(17, 5) - score(17, 6)), 1e-2);
}

TEST(Rotary, TakesAViewOfAFusedProjection) {
  const at::Tensor fused = Random({4, 5, 16}, 3);
  const RotaryTable table = TableOf(4, 16, at::kFloat);
  const at::Tensor part = fused.slice(1, 1, 4);
  EXPECT_TRUE(at::equal(Rotary(part, table), Rotary(part.contiguous(), table)));
}

TEST(Rotary, RefusesATableOfAnotherLength) {
  EXPECT_THROW(Rotary(Random({4, 2, 16}, 1), TableOf(3, 16, at::kFloat)), Error);
}

TEST(InverseFrequencies, ArePowersOfTheta) {
  EXPECT_THAT(
      InverseFrequencies(8, 1e4),
      ElementsAre(1, DoubleNear(0.1, 1e-7), DoubleNear(0.01, 1e-8), DoubleNear(1e-3, 1e-9)));
}

TEST(InverseFrequencies, LinearScalingDividesAll) {
  const RotaryScaling scaling{.kind = RotaryScaling::Kind::kLinear, .factor = 4};
  EXPECT_THAT(InverseFrequencies(4, 1e4, scaling),
              ElementsAre(DoubleNear(0.25, 1e-9), DoubleNear(0.0025, 1e-9)));
}

// Llama 3.1: waves shorter than 8192 / 4 positions are kept, longer than 8192 / 1 divided by 8.
TEST(InverseFrequencies, Llama3ScalingKeepsShortWavesAndStretchesLongOnes) {
  const RotaryScaling scaling{.kind = RotaryScaling::Kind::kLlama3,
                              .factor = 8,
                              .low_freq_factor = 1,
                              .high_freq_factor = 4,
                              .original_max_position_embeddings = 8192};
  const auto plain = InverseFrequencies(128, 5e5), scaled = InverseFrequencies(128, 5e5, scaling);
  int kept = 0, divided = 0, between = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    const double wavelength = 2 * M_PI / plain[i];
    if (wavelength < 2048) {
      EXPECT_EQ(scaled[i], plain[i]);
      ++kept;
    } else if (wavelength > 8192) {
      EXPECT_DOUBLE_EQ(scaled[i], plain[i] / 8);
      ++divided;
    } else {
      const double smooth = (8192 / wavelength - 1) / 3;
      EXPECT_NEAR(scaled[i], plain[i] * ((1 - smooth) / 8 + smooth), 1e-6 * plain[i]);
      ++between;
    }
  }
  EXPECT_GT(kept, 20);
  EXPECT_GT(divided, 20);
  EXPECT_GT(between, 3);
}

TEST(InverseFrequencies, RefuseWhatMakesNoSense) {
  EXPECT_THROW(InverseFrequencies(7, 1e4), Error);
  EXPECT_THROW(InverseFrequencies(8, -1), Error);
  EXPECT_THROW(InverseFrequencies(8, 1e4, {.kind = RotaryScaling::Kind::kLinear, .factor = 0}),
               Error);
  EXPECT_THROW(InverseFrequencies(8, 1e4,
                                  {.kind = RotaryScaling::Kind::kLlama3,
                                   .factor = 8,
                                   .low_freq_factor = 4,
                                   .high_freq_factor = 4}),
               Error);
}

}  // namespace
}  // namespace tanren::kernels
