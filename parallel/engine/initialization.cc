#include "parallel/engine/initialization.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "runtime/base/error.h"
#include "runtime/base/random.h"

namespace tanren::parallel {
namespace {

constexpr int64_t kChunk = int64_t{1} << 22;  // elements filled at a time: 16 MiB

// FNV-1a, 64 bits.
uint64_t HashName(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char byte : name) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

double Uniform(uint32_t high, uint32_t low) {  // in [0, 1), 53 bits
  return static_cast<double>((uint64_t{high} >> 5 << 26) | (low >> 6)) * 0x1.0p-53;
}

// Elements 2 × pair and 2 × pair + 1: Box-Muller makes normals in twos.
std::array<double, 2> NormalPair(uint64_t seed, uint64_t name, uint64_t pair) {
  // The words are laid out as RandomStream's are, with the name's hash for (a, b).
  const auto words = Philox(
      {static_cast<uint32_t>(pair), static_cast<uint32_t>(name), static_cast<uint32_t>(name >> 32),
       (static_cast<uint32_t>(RandomPurpose::kInitialization) << 24) |
           static_cast<uint32_t>(pair >> 32)},
      {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const double radius = std::sqrt(-2 * std::log1p(-Uniform(words[0], words[1])));
  const double angle = 2 * std::numbers::pi * Uniform(words[2], words[3]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace

void InitialValues(const ParameterSpec& spec, uint64_t seed, int64_t begin,
                   std::span<float> values) {
  using Kind = Initializer::Kind;
  if (spec.initializer.kind != Kind::kNormal) {
    std::fill(values.begin(), values.end(), spec.initializer.kind == Kind::kOnes ? 1.0f : 0.0f);
    return;
  }
  const uint64_t name = HashName(spec.name);
  const int64_t end = begin + static_cast<int64_t>(values.size());
  at::parallel_for(begin / 2, (end + 1) / 2, 4096, [&](int64_t first, int64_t last) {
    for (int64_t pair = first; pair < last; ++pair) {
      const auto normals = NormalPair(seed, name, pair);
      for (int64_t i = std::max(begin, 2 * pair); i < std::min(end, 2 * pair + 2); ++i) {
        values[i - begin] = static_cast<float>(spec.initializer.std * normals[i - 2 * pair]);
      }
    }
  });
}

void FillShard(ShardGroup& group, const PieceFiller& fill) {
  const at::NoGradGuard no_grad;
  at::Tensor values = at::empty({std::min(kChunk, group.layout().shard_numel())}, at::kFloat);
  for (const Piece& piece : group.layout().PiecesOf(group.rank())) {
    const auto spec = std::find_if(group.specs().begin(), group.specs().end(),
                                   [&](const auto& one) { return one.name == piece.name; });
    TANREN_CHECK(spec != group.specs().end(), "no parameter '{}'", piece.name);
    for (int64_t done = 0; done < piece.range.size(); done += kChunk) {
      const int64_t count = std::min(kChunk, piece.range.size() - done);
      fill(*spec, piece.range.begin + done, {values.data_ptr<float>(), static_cast<size_t>(count)});
      group.shard().narrow(0, piece.shard_offset + done, count).copy_(values.narrow(0, 0, count));
    }
  }
}

}  // namespace tanren::parallel
