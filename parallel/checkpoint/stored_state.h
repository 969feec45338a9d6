// A rank's training state as pieces of tensors: what SaveCheckpoint writes and LoadCheckpoint
// wants.
#ifndef TANREN_PARALLEL_CHECKPOINT_STORED_STATE_H_
#define TANREN_PARALLEL_CHECKPOINT_STORED_STATE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "parallel/checkpoint/load_plan.h"
#include "parallel/engine/engine.h"
#include "parallel/optimizer/optimizer.h"

namespace tanren::parallel {

struct StatePiece {
  StoredPiece piece;
  at::Tensor values;  // flat; a view of the shard itself
};

// This rank's pieces: masters and frozen values by group, then the state of `optimizer`,
// if it isn't null.
std::vector<StatePiece> PiecesOfState(const Engine& engine, Optimizer* optimizer);

// All tensors of all ranks, by shape. Tensors without elements are left out: they have no pieces.
std::map<TensorId, std::vector<int64_t>> TensorsOfState(const Engine& engine, Optimizer* optimizer);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_STORED_STATE_H_
