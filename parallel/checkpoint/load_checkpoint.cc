#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <utility>

#include "parallel/checkpoint/checkpoint.h"
#include "parallel/checkpoint/checkpoint_reader.h"
#include "parallel/checkpoint/rank_agreement.h"
#include "parallel/checkpoint/stored_state.h"
#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

namespace fs = std::filesystem;

constexpr char kUnit[] = "load checkpoint";   // names the collectives
constexpr int64_t kChunk = int64_t{1} << 22;  // elements read at a time: 16 MiB

using Shapes = std::map<TensorId, std::vector<int64_t>>;

// Reads a piece of state into the tensor that it is a view of.
absl::Status ReadPiece(const CheckpointReader& reader, const StatePiece& one) {
  const TensorId& id = one.piece.id;
  const ElementRange range = one.piece.range;
  const at::Tensor buffer = at::empty({std::min(kChunk, range.size())}, at::kFloat);
  for (int64_t done = 0; done < range.size(); done += kChunk) {
    const int64_t count = std::min(kChunk, range.size() - done);
    const int64_t begin = range.begin + done;
    const std::span<float> values(buffer.data_ptr<float>(), static_cast<size_t>(count));
    TANREN_RETURN_IF_ERROR(IsWeight(id) ? reader.Read(id.name, begin, begin + count, values)
                                        : reader.Read(id, begin, begin + count, values));
    // copy_, so that the version of a master tells the engine that it changed.
    one.values.narrow(0, done, count).copy_(buffer.narrow(0, 0, count));
  }
  return absl::OkStatus();
}

// Leaves frozen values that aren't stored as they are.
absl::Status ReadState(const CheckpointReader& reader, const std::vector<StatePiece>& pieces) {
  const at::NoGradGuard no_grad;
  for (const StatePiece& piece : pieces) {
    const TensorId& id = piece.piece.id;
    if (IsWeight(id) && !reader.HasParameter(id.name)) continue;
    TANREN_RETURN_IF_ERROR(ReadPiece(reader, piece));
  }
  return absl::OkStatus();
}

// `shapes` with one kind for all weights: a model may use frozen what was trained.
Shapes WeightsAlone(const Shapes& shapes) {
  Shapes weights;
  for (const auto& [id, shape] : shapes) {
    if (IsWeight(id)) weights[{id.name, "weight"}] = shape;
  }
  return weights;
}

// All that can be known before anything is changed.
absl::StatusOr<CheckpointReader> OpenFor(const fs::path& path, const Engine& engine,
                                         Optimizer* optimizer) {
  TANREN_ASSIGN_OR_RETURN(CheckpointReader reader, CheckpointReader::Open(path));
  Shapes wanted = TensorsOfState(engine, optimizer);
  if (!reader.meta().frozen_stored) {
    std::erase_if(wanted, [&](const auto& one) {
      return one.first.kind == kFrozen && !reader.HasParameter(one.first.name);
    });
  }
  const Shapes& stored = reader.tensors().shapes();
  const absl::Status same_model = CheckSameTensors(WeightsAlone(stored), WeightsAlone(wanted));
  const absl::Status same = optimizer != nullptr ? CheckSameTensors(stored, wanted) : same_model;
  if (same.ok()) return reader;
  return Annotate(same, fmt::format("{}: saved by a training of another {}, which this one can't "
                                    "continue",
                                    path.string(), same_model.ok() ? "optimizer" : "model"));
}

absl::StatusOr<CheckpointMeta> Load(const fs::path& path, comm::Communicator& world, Engine& engine,
                                    Optimizer* optimizer) {
  const absl::StatusOr<CheckpointReader> reader = OpenFor(path, engine, optimizer);
  TANREN_RETURN_IF_ERROR(AgreeOnStatus(world, reader.status(), kUnit));
  TANREN_RETURN_IF_ERROR(
      AgreeOnStatus(world, ReadState(*reader, PiecesOfState(engine, optimizer)), kUnit));
  return reader->meta();
}

}  // namespace

absl::StatusOr<CheckpointMeta> LoadCheckpoint(const fs::path& path, comm::Communicator& world,
                                              Engine& engine, Optimizer& optimizer,
                                              LossScaler* scaler) {
  TANREN_ASSIGN_OR_RETURN(CheckpointMeta meta, Load(path, world, engine, &optimizer));
  optimizer.set_steps_taken(meta.optimizer_steps);
  if (scaler != nullptr && meta.loss_scaler) scaler->set_state(*meta.loss_scaler);
  return meta;
}

absl::StatusOr<CheckpointMeta> LoadWeights(const fs::path& path, comm::Communicator& world,
                                           Engine& engine) {
  return Load(path, world, engine, nullptr);
}

}  // namespace tanren::parallel
