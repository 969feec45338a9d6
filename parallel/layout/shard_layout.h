// Where the parameters of one group lie in its flat buffer, and which part of it each rank owns.
// Pure arithmetic: no tensors, no communication. All positions count elements, not bytes.
#ifndef TANREN_PARALLEL_LAYOUT_SHARD_LAYOUT_H_
#define TANREN_PARALLEL_LAYOUT_SHARD_LAYOUT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tanren::parallel {

// Elements begin … end − 1.
struct ElementRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const ElementRange&) const = default;
};

// A parameter by its Hugging Face name and its global shape.
struct ParameterShape {
  std::string name;
  std::vector<int64_t> shape;
  bool operator==(const ParameterShape&) const = default;
};

// A parameter in the flat buffer: elements offset … offset + numel − 1, row-major.
struct PlacedParameter {
  std::string name;
  std::vector<int64_t> shape;
  int64_t numel = 0;
  int64_t offset = 0;
};

// The part of one parameter that lies in one rank's shard: what a checkpoint stores.
struct Piece {
  std::string name;
  std::vector<int64_t> shape;  // global
  ElementRange range;          // in the flattened parameter; not empty
  int64_t shard_offset = 0;    // of the range's first element in the shard
  bool operator==(const Piece&) const = default;
};

class ShardLayout {
 public:
  // Places `parameters` in their order. Each starts at a multiple of `alignment` elements, and so
  // does each rank's shard: the gaps and the end are padding, which belongs to no parameter.
  // Throws Error(kInvalidArgument) for a negative dimension, a name given twice, an element count
  // past 2^62, or a world size or alignment below 1.
  ShardLayout(const std::vector<ParameterShape>& parameters, int world_size, int64_t alignment);

  const std::vector<PlacedParameter>& parameters() const { return parameters_; }
  int world_size() const { return world_size_; }
  // Of the whole buffer, padding included: world_size × shard_numel.
  int64_t padded_numel() const { return shard_numel_ * world_size_; }
  // The same for every rank.
  int64_t shard_numel() const { return shard_numel_; }
  // The rank's part of the flat buffer.
  ElementRange RangeOf(int rank) const;
  // The pieces of parameters in the rank's shard, in the order of the buffer.
  std::vector<Piece> PiecesOf(int rank) const;

 private:
  std::vector<PlacedParameter> parameters_;
  int world_size_;
  int64_t shard_numel_ = 0;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_LAYOUT_SHARD_LAYOUT_H_
