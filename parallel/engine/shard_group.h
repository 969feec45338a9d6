// Parameters that are sharded together: each rank keeps its shard; the whole exists only between
// gather and release.
#ifndef TANREN_PARALLEL_ENGINE_SHARD_GROUP_H_
#define TANREN_PARALLEL_ENGINE_SHARD_GROUP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parallel/engine/refillable_buffer.h"
#include "parallel/engine/unit.h"
#include "parallel/layout/shard_layout.h"
#include "parallel/layout/trainable_shard.h"
#include "runtime/comm/communicator.h"

namespace tanren::parallel {

struct ShardGroupOptions {
  at::ScalarType compute_dtype = at::kFloat;
  at::ScalarType gradient_dtype = at::kFloat;  // of the reduce-scatter
  // Gradients of several uses or micro-batches are summed before they are reduced, so the whole
  // gradient is kept in fp32 whatever gradient_dtype is.
  bool sums_before_reduce = false;
  bool fill_released_with_nan = false;
};

class ShardGroup {
 public:
  // Offsets of parameters and shards in elements: 256 bytes of fp32, what GPU kernels like.
  static constexpr int64_t kAlignment = 64;

  // `parameters` are all trainable or all frozen, and at least one. `comm` must outlive the group.
  ShardGroup(std::string name, std::vector<ParameterSpec> parameters, comm::Communicator& comm,
             const ShardGroupOptions& options);

  const std::string& name() const { return name_; }
  const std::vector<ParameterSpec>& specs() const { return specs_; }
  const ShardLayout& layout() const { return layout_; }
  bool trainable() const { return specs_.front().trainable; }
  int rank() const { return comm_.rank(); }

  // This rank's part, [layout().shard_numel()]: the fp32 master where trainable, else in the
  // compute dtype. In-place writes are noticed through the tensor's version.
  const at::Tensor& shard() const { return shard_; }
  // fp32, like shard(); undefined where frozen.
  const at::Tensor& gradient_shard() const { return gradient_shard_; }
  TrainableShard AsTrainableShard() const;

  // Weights. StartGather begins to make the whole in the compute dtype unless it is there, is under
  // way, or only an older one is; FinishGather returns when parameters() can be read.
  void StartGather();
  void FinishGather();
  // Frees the whole. Tensors that a graph has saved stay valid through the next gather.
  void Release();
  // Leaf tensors in the order of specs(), always the same ones; without data while released.
  std::span<const at::Tensor> parameters() const { return parameters_; }

  // Gradients of the whole, in the order of specs(). AddGradient adds `gradient` (any dtype; of an
  // embedding it may be sparse, the rows that were looked up).
  void AddGradient(int index, const at::Tensor& gradient);
  // A view that may be added to until the next StartReduce; needs sums_before_reduce (fp32).
  at::Tensor MutableGradient(int index);
  bool has_gradient() const { return gradient_.defined(); }
  // Sums the whole over ranks and frees it; after FinishReduce this rank's part has been added to
  // gradient_shard().
  void StartReduce();
  void FinishReduce();
  // A new sum begins, in gradient_shard() and whole: what they hold is dropped. Until the first
  // reduce, or FinishGradients, the memory still has the old numbers.
  void ResetGradients();
  // Makes gradient_shard() zero if nothing was reduced since ResetGradients.
  void FinishGradients();

 private:
  at::Tensor WholeGradientView(int index);
  // What nobody wrote of the whole gradient, padding too.
  void ZeroUnwritten();

  std::string name_;
  std::vector<ParameterSpec> specs_;
  comm::Communicator& comm_;
  ShardGroupOptions options_;
  ShardLayout layout_;
  at::Tensor shard_;
  at::Tensor gradient_shard_;
  bool gradient_shard_is_old_ = false;  // to be overwritten

  RefillableBuffer whole_;
  std::vector<at::Tensor> parameters_;
  std::unique_ptr<comm::Work> gathering_;
  uint32_t gathered_version_ = 0;  // of shard_

  at::Tensor gradient_;        // [padded_numel], or undefined
  std::vector<bool> written_;  // which parameters of gradient_ hold values
  std::unique_ptr<comm::Work> reducing_;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_ENGINE_SHARD_GROUP_H_
