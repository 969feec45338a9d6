// Which stored ranges make up a wanted range. Pure arithmetic: any number of ranks that stored, any
// number that load, an export and a weight sync are the same operation.
#ifndef TANREN_PARALLEL_CHECKPOINT_LOAD_PLAN_H_
#define TANREN_PARALLEL_CHECKPOINT_LOAD_PLAN_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/layout/shard_layout.h"

namespace tanren::parallel {

// What is stored beside a parameter's name: its fp32 master, its frozen value, or a state of the
// optimizer's.
inline constexpr char kMaster[] = "master";
inline constexpr char kFrozen[] = "frozen";

struct TensorId {
  std::string name;  // of the parameter: "model.layers.0.mlp.up_proj.weight"
  std::string kind;  // kMaster, kFrozen, or a state's name: "exp_avg"
  auto operator<=>(const TensorId&) const = default;
};

// A parameter's value: its master or its frozen value.
bool IsWeight(const TensorId& id);

// "exp_avg of 'model.norm.weight'"
std::string Describe(const TensorId& id);

// Elements `range` of the flattened tensor. Which piece it is, is its place in a list.
struct StoredPiece {
  TensorId id;
  std::vector<int64_t> shape;  // global
  ElementRange range;
};

struct WantedPiece {
  TensorId id;
  std::vector<int64_t> shape;  // global
  ElementRange range;
};

// Elements `range` of the tensor are to be taken from stored piece `piece`.
struct PlannedCopy {
  size_t piece = 0;
  ElementRange range;
  bool operator==(const PlannedCopy&) const = default;
};

// Stored pieces, known to cover each of their tensors exactly once.
class StoredTensors {
 public:
  // kInvalidArgument, naming the tensor and the elements, where pieces of a tensor disagree about
  // its shape, leave its bounds, overlap, or leave a gap.
  static absl::StatusOr<StoredTensors> Make(const std::vector<StoredPiece>& pieces);

  // The shape of each tensor.
  const std::map<TensorId, std::vector<int64_t>>& shapes() const { return shapes_; }

  // The copies that make up elements `range`, in their order. kNotFound for a tensor that isn't
  // stored, kOutOfRange past its end.
  absl::StatusOr<std::vector<PlannedCopy>> Plan(const TensorId& id, ElementRange range) const;

 private:
  std::map<TensorId, std::vector<int64_t>> shapes_;
  std::map<TensorId, std::vector<PlannedCopy>> pieces_;  // ascending, without gaps
};

// The copies for each wanted piece. Errors as of StoredTensors::Plan; kInvalidArgument where a
// shape differs.
absl::StatusOr<std::vector<std::vector<PlannedCopy>>> PlanLoad(
    const StoredTensors& stored, const std::vector<WantedPiece>& wanted);

// OK if both name the same tensors with the same shapes; else names one of another shape, or those
// that are missing or not wanted (the first few of each).
absl::Status CheckSameTensors(const std::map<TensorId, std::vector<int64_t>>& stored,
                              const std::map<TensorId, std::vector<int64_t>>& wanted);

// The number of elements of `shape`; kInvalidArgument for a negative dimension or more than 2^62.
absl::StatusOr<int64_t> ElementCount(const std::vector<int64_t>& shape);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_LOAD_PLAN_H_
