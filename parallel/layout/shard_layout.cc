#include "parallel/layout/shard_layout.h"

#include <algorithm>
#include <set>

#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 62;

template <typename... Args>
void Require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (condition) return;
  throw Error(absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...)));
}

int64_t CountElements(const ParameterShape& parameter) {
  int64_t numel = 1;
  for (int64_t size : parameter.shape) {
    Require(size >= 0, "parameter '{}' has a dimension of {}", parameter.name, size);
    Require(size == 0 || numel <= kMostElements / size, "parameter '{}' has too many elements",
            parameter.name);
    numel *= size;
  }
  return numel;
}

int64_t RoundUp(int64_t value, int64_t multiple) {
  Require(value <= kMostElements - multiple, "a group of parameters has too many elements");
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

ShardLayout::ShardLayout(const std::vector<ParameterShape>& parameters, int world_size,
                         int64_t alignment)
    : world_size_(world_size) {
  Require(world_size >= 1, "a layout over {} ranks", world_size);
  Require(alignment >= 1 && alignment <= kMostElements / world_size, "an alignment of {} elements",
          alignment);
  std::set<std::string> names;
  int64_t end = 0;
  for (const ParameterShape& parameter : parameters) {
    Require(names.insert(parameter.name).second, "parameter '{}' is placed twice", parameter.name);
    const int64_t numel = CountElements(parameter);
    const int64_t offset = RoundUp(end, alignment);
    Require(numel <= kMostElements - offset, "a group of parameters has too many elements");
    parameters_.push_back({parameter.name, parameter.shape, numel, offset});
    end = offset + numel;
  }
  shard_numel_ = RoundUp(end, alignment * world_size) / world_size;
}

ElementRange ShardLayout::RangeOf(int rank) const {
  TANREN_CHECK(rank >= 0 && rank < world_size_, "rank {} of {}", rank, world_size_);
  return {rank * shard_numel_, (rank + 1) * shard_numel_};
}

std::vector<Piece> ShardLayout::PiecesOf(int rank) const {
  const ElementRange shard = RangeOf(rank);
  std::vector<Piece> pieces;
  for (const PlacedParameter& parameter : parameters_) {
    const int64_t begin = std::max(parameter.offset, shard.begin);
    const int64_t end = std::min(parameter.offset + parameter.numel, shard.end);
    if (begin >= end) continue;
    pieces.push_back({parameter.name,
                      parameter.shape,
                      {begin - parameter.offset, end - parameter.offset},
                      begin - shard.begin});
  }
  return pieces;
}

}  // namespace tanren::parallel
