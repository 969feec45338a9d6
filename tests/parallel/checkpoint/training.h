// A training of the toy model that saves and resumes; files in a folder that each test has for
// itself.
#ifndef TANREN_TESTS_PARALLEL_CHECKPOINT_TRAINING_H_
#define TANREN_TESTS_PARALLEL_CHECKPOINT_TRAINING_H_

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "parallel/checkpoint/checkpoint.h"
#include "parallel/engine/engine.h"
#include "parallel/optimizer/adamw.h"
#include "runtime/comm/communicator.h"
#include "tests/parallel/engine/toy_model.h"
#include "tests/temporary_folder.h"

namespace tanren::parallel {

// One rank's engine and AdamW over the toy model. Starts from seed 5.
class Training {
 public:
  Training(comm::Communicator& world, const ToyOptions& toy, EngineOptions options = {});

  // One step on the documents of `step`, which all ranks share.
  void Step(int step);
  absl::Status Save(const std::filesystem::path& folder, CheckpointMeta meta,
                    const SaveOptions& options = {});
  absl::StatusOr<CheckpointMeta> Load(const std::filesystem::path& checkpoint);
  std::map<std::string, at::Tensor> Parameters() { return engine().GatherAll(); }

  Engine& engine() { return *engine_; }
  Optimizer& optimizer() { return *optimizer_; }

 private:
  comm::Communicator& world_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<AdamW> optimizer_;
};

using Tensors = std::map<std::string, at::Tensor>;

// The parameters after `steps` steps on `ranks` threads, from the checkpoint if there is one (its
// step is the first that isn't done); saves at `save_at` (0: never).
struct TrainingRun {
  int ranks = 1;
  EngineOptions options;
  ToyOptions toy;
  std::filesystem::path resume;
  int save_at = 0;
  std::filesystem::path folder;
};
Tensors Train(const TrainingRun& run, int steps);

bool BitwiseEqual(const Tensors& a, const Tensors& b);
// The largest difference of an element.
double Difference(const Tensors& a, const Tensors& b);

}  // namespace tanren::parallel

#endif  // TANREN_TESTS_PARALLEL_CHECKPOINT_TRAINING_H_
