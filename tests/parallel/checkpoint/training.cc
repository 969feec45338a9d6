#include "tests/parallel/checkpoint/training.h"

#include <ATen/ATen.h>
#include <stdlib.h>

#include <algorithm>

#include "parallel/optimizer/update.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"

namespace tanren::parallel {

namespace fs = std::filesystem;

Training::Training(comm::Communicator& world, const ToyOptions& toy, EngineOptions options)
    : world_(world) {
  const ToyModel model = MakeToyModel(toy);
  engine_ = std::make_unique<Engine>(model.units, model.head, world, options);
  engine_->Initialize(5);
  optimizer_ = std::make_unique<AdamW>(engine_->TrainableShards(), AdamWOptions{});
}

void Training::Step(int step) {
  const int count = kToyDocuments / world_.size();
  engine_->BeginStep();
  const Activations input = ToyInput(step, world_.rank() * count, count);
  engine_->ForwardBackward(input, ToyHead(input, ToyWeight()));
  engine_->FinishStep();
  UpdateParameters(*optimizer_, world_, 0.01, {.max_norm = 0.5}, nullptr);
}

absl::Status Training::Save(const fs::path& folder, CheckpointMeta meta,
                            const SaveOptions& options) {
  return SaveCheckpoint(folder, world_, *engine_, *optimizer_, nullptr, meta, options);
}

absl::StatusOr<CheckpointMeta> Training::Load(const fs::path& checkpoint) {
  return LoadCheckpoint(checkpoint, world_, *engine_, *optimizer_, nullptr);
}

Tensors Train(const TrainingRun& run, int steps) {
  Tensors result;
  comm::RunRanks(run.ranks, [&](comm::Communicator& world) {
    Training training(world, run.toy, run.options);
    int step = 0;
    if (!run.resume.empty()) {
      step = static_cast<int>(ValueOrThrow(training.Load(run.resume)).step);
    }
    for (; step < steps; ++step) {
      training.Step(step);
      if (step + 1 == run.save_at) ThrowIfError(training.Save(run.folder, {.step = step + 1}));
    }
    auto parameters = training.Parameters();
    if (world.rank() == 0) result = std::move(parameters);
  });
  return result;
}

bool BitwiseEqual(const Tensors& a, const Tensors& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& one) {
           return b.contains(one.first) && at::equal(one.second, b.at(one.first));
         });
}

double Difference(const Tensors& a, const Tensors& b) {
  TANREN_CHECK(a.size() == b.size(), "{} and {} parameters", a.size(), b.size());
  double largest = 0;
  for (const auto& [name, value] : a) {
    largest = std::max(largest, (value - b.at(name)).abs().max().item<double>());
  }
  return largest;
}

}  // namespace tanren::parallel
