#include "parallel/checkpoint/stored_state.h"

#include <ATen/ATen.h>

#include <string>

#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

// A shard of one kind, and the group whose layout it has.
struct KindOfShard {
  const ShardGroup* group;
  std::string kind;
  at::Tensor shard;
};

std::vector<KindOfShard> ShardsOfState(const Engine& engine, Optimizer* optimizer) {
  std::vector<KindOfShard> shards;
  std::vector<const ShardGroup*> trainable;  // as Engine::TrainableShards orders them
  for (const auto& group : engine.groups()) {
    shards.push_back({group.get(), group->trainable() ? kMaster : kFrozen, group->shard()});
    if (group->trainable()) trainable.push_back(group.get());
  }
  if (optimizer == nullptr) return shards;
  for (const OptimizerState& state : optimizer->State()) {
    TANREN_CHECK(state.shard < trainable.size() &&
                     state.values.numel() == trainable[state.shard]->layout().shard_numel(),
                 "'{}' #{} of the optimizer isn't beside a shard of the engine", state.name,
                 state.shard);
    TANREN_CHECK(state.name != kMaster && state.name != kFrozen, "a state can't be called '{}'",
                 state.name);
    shards.push_back({trainable[state.shard], state.name, state.values});
  }
  return shards;
}

}  // namespace

std::vector<StatePiece> PiecesOfState(const Engine& engine, Optimizer* optimizer) {
  const at::NoGradGuard no_grad;
  std::vector<StatePiece> pieces;
  for (const KindOfShard& one : ShardsOfState(engine, optimizer)) {
    for (const Piece& piece : one.group->layout().PiecesOf(one.group->rank())) {
      pieces.push_back({{{piece.name, one.kind}, piece.shape, piece.range},
                        one.shard.narrow(0, piece.shard_offset, piece.range.size())});
    }
  }
  return pieces;
}

std::map<TensorId, std::vector<int64_t>> TensorsOfState(const Engine& engine,
                                                        Optimizer* optimizer) {
  std::map<TensorId, std::vector<int64_t>> tensors;
  for (const KindOfShard& one : ShardsOfState(engine, optimizer)) {
    for (const PlacedParameter& placed : one.group->layout().parameters()) {
      if (placed.numel > 0) tensors[{placed.name, one.kind}] = placed.shape;
    }
  }
  return tensors;
}

}  // namespace tanren::parallel
