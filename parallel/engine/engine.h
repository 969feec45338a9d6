// Walks a model's units forward, then backward, with parameters and gradients sharded over the
// ranks of one communicator (the mesh's shard axis). There is no graph across units: each unit's
// graph is made, used and freed by the walk, which therefore decides when weights are gathered,
// prefetched and released and when gradients are reduced.
//
//   engine.BeginStep();
//   for (each micro-batch) loss += engine.ForwardBackward(input, head);
//   engine.FinishStep();
//   optimizer on engine.TrainableShards()
//
// Gradients are summed over ranks and micro-batches, never averaged: the head scales its gradients
// by the step's weight, which it knows beforehand. Every rank calls the same methods in the same
// order. Errors are thrown as tanren::Error. Not thread-safe.
#ifndef TANREN_PARALLEL_ENGINE_ENGINE_H_
#define TANREN_PARALLEL_ENGINE_ENGINE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parallel/engine/gather_walk.h"
#include "parallel/engine/parameter_groups.h"
#include "parallel/engine/shard_group.h"
#include "parallel/engine/unit.h"
#include "parallel/layout/trainable_shard.h"
#include "runtime/comm/communicator.h"

namespace tanren::parallel {

enum class Recompute {
  kNone,  // every unit's saved tensors live until its backward
  kFull,  // only each unit's input is kept; its forward runs again before its backward
};

struct EngineOptions {
  // 1: masters and optimizer state are sharded; weights are gathered once a step, gradients
  //    accumulate whole (fp32) and are reduced once a step.
  // 2: gradients are sharded too: reduced in each micro-batch.
  // 3: weights are sharded too: gathered for each unit and released after it.
  int zero_stage = 3;
  at::ScalarType compute_dtype = at::kFloat;
  at::ScalarType gradient_dtype = at::kFloat;  // of the reduce-scatter
  Recompute recompute = Recompute::kNone;
  int prefetch_depth = 1;               // how many units' weights are gathered ahead: 0 or 1
  bool fill_released_with_nan = false;  // for tests
};

struct HeadResult {
  at::Tensor loss_sum;  // [], of this rank's micro-batch, on the device; passed through
  at::Tensor d_hidden;  // [T, D]: the derivative of the loss by the hidden states
};

// What comes after the last unit: projects `hidden_TD` to the vocabulary and takes the loss.
// `head_parameters` are in the order of the head's specs, in the compute dtype; their derivatives
// are added to `head_gradients_fp32` (of the same shapes; undefined where not trainable). Runs
// without recording a graph unless it enables gradients itself.
using HeadFunction = std::function<HeadResult(const at::Tensor& hidden_TD,
                                              std::span<const at::Tensor> head_parameters,
                                              std::span<at::Tensor> head_gradients_fp32)>;

// The same without gradients: evaluation, scoring, generation.
using HeadReader =
    std::function<void(const at::Tensor& hidden_TD, std::span<const at::Tensor> head_parameters)>;

// Fills `values` with elements begin … end − 1 of the flattened parameter.
using ParameterReader = std::function<void(const std::string& name, int64_t begin, int64_t end,
                                           std::span<float> values)>;

class Engine {
 public:
  // `head_parameters` may name parameters of units (tied embeddings). `shard_axis` must outlive the
  // engine. Parameters are zero until Initialize or LoadParameters. Throws for options out of
  // range, and for sharers that disagree about a parameter.
  Engine(std::vector<std::shared_ptr<const Unit>> units, std::vector<ParameterSpec> head_parameters,
         comm::Communicator& shard_axis, EngineOptions options);

  // Every parameter by its Initializer. A value is a function of (seed, name, element), so it is
  // the same at any world size.
  void Initialize(uint64_t seed);
  // Asks for the pieces of parameters that this rank owns, and for nothing else.
  void LoadParameters(const ParameterReader& read);

  // Forgets gradients and whatever an interrupted step left.
  void BeginStep();
  // One micro-batch; returns the head's loss_sum, which may still be under way on a device. Waits
  // for nothing there.
  at::Tensor ForwardBackward(const Activations& input, const HeadFunction& head);
  // After it the gradients of TrainableShards() are whole.
  void FinishStep();

  // Without gradients; returns the last unit's activations. `head`, if any, is called with them.
  Activations Forward(const Activations& input, const HeadReader& head = nullptr);

  // Copies of all parameters on every rank, by name, in the compute dtype. For weight sync and
  // small exports: needs memory for the whole model.
  std::map<std::string, at::Tensor> GatherAll();

  // Masters and gradients of this rank's part, in the order of groups(). The tensors are the
  // engine's own: writing a master changes the model. Who writes one through a raw pointer must
  // bump the tensor's version, as in-place operations do.
  std::vector<TrainableShard> TrainableShards() const;
  // Everything that is stored, frozen groups included: for checkpoints.
  const std::vector<std::unique_ptr<ShardGroup>>& groups() const { return groups_; }
  const EngineOptions& options() const { return options_; }

 private:
  // What a forward visit leaves for the backward one. `output` has its graph, or is empty where it
  // will be recomputed.
  struct Visited {
    Activations input;
    Activations output;
  };

  std::vector<at::Tensor> ParametersOf(int consumer) const;
  // Where there is something to train in the unit or below it, output.hidden has a graph of its own
  // that starts at input.hidden and the unit's parameters.
  Visited VisitForward(int unit, Activations input, bool with_graph) const;
  HeadResult VisitHead(const at::Tensor& hidden_TD, const HeadFunction& head);
  // Returns the derivative by the unit's input; undefined for the lowest unit that is trained.
  at::Tensor VisitBackward(int unit, Visited visited, const at::Tensor& d_hidden);
  GatherWalk WalkOver(std::vector<int> consumers) const;
  // Reduces the groups whose last use in the backward walk is `consumer`.
  void ReduceAfter(int consumer);
  void StartReduce(ShardGroup& group);
  void FinishPendingReduce();
  int head_consumer() const { return static_cast<int>(units_.size()); }

  std::vector<std::shared_ptr<const Unit>> units_;
  EngineOptions options_;
  ParameterGroups plan_;
  std::vector<std::unique_ptr<ShardGroup>> groups_;
  int lowest_trained_ = 0;  // the first consumer that has a trainable parameter
  ShardGroup* reducing_ = nullptr;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_ENGINE_ENGINE_H_
