// A training that takes milliseconds: a model of two units and a head, and steps of a few documents
// of unequal lengths and weights.
#ifndef TANREN_TESTS_TRAINER_LOOP_SMALL_TRAINING_H_
#define TANREN_TESTS_TRAINER_LOOP_SMALL_TRAINING_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "parallel/engine/engine.h"
#include "parallel/optimizer/loss_scaler.h"
#include "parallel/optimizer/sgd.h"
#include "runtime/comm/communicator.h"
#include "trainer/data/batch_source.h"
#include "trainer/loop/training_loop.h"
#include "trainer/objective/next_token.h"

namespace tanren::trainer {

using Tensors = std::map<std::string, at::Tensor>;

// The documents of step `index`, counted from 0; every third step has only three.
std::vector<Document> DocumentsOf(int64_t index);

// Deals the documents of each step to ranks and micro-batches one by one.
class SmallSource final : public BatchSource {
 public:
  struct Shape {
    int world_size = 1;
    int rank = 0;
    int micro_batches = 1;  // of a rank
    int64_t steps = 1000;   // where the data ends
  };
  explicit SmallSource(const Shape& shape) : shape_(shape) {}
  absl::StatusOr<std::optional<StepBatches>> Next() override;
  std::string cursor() const override;
  absl::Status Restore(std::string_view cursor) override;

 private:
  Shape shape_;
  int64_t next_ = 0;
};

// One rank's parts. Starts from seed 5; SGD with momentum, so that a gradient that is too large by
// a factor, or a state that is lost, shows.
struct SmallTraining {
  explicit SmallTraining(comm::Communicator& ranks, int micro_batches = 1,
                         int64_t steps_of_data = 1000);
  TrainingParts parts();
  // Runs steps_done … total_steps − 1 at a constant rate of 0.5.
  TrainingOutcome Run(
      int64_t steps_done, int64_t total_steps,
      std::vector<std::unique_ptr<Callback>> callbacks = {},
      std::function<bool()> stop_requested = [] { return false; });

  comm::Communicator& ranks;
  parallel::Engine engine;
  parallel::Sgd optimizer;
  std::optional<parallel::LossScaler> scaler;
  SmallSource source;
  NextToken objective;
};

// The sum of the batch's losses as one ordinary graph over whole parameters.
at::Tensor LossSum(const Tensors& parameters, const Batch& batch);

// Keeps every report.
class Reports final : public Callback {
 public:
  explicit Reports(std::vector<StepReport>* steps, std::vector<StartReport>* starts = nullptr)
      : steps_(steps), starts_(starts) {}
  void RunStarted(StartReport& report) override {
    if (starts_ != nullptr) starts_->push_back(report);
  }
  void StepFinished(StepReport& report) override { steps_->push_back(report); }

 private:
  std::vector<StepReport>* steps_;
  std::vector<StartReport>* starts_;
};

template <typename... Callbacks>
std::vector<std::unique_ptr<Callback>> ListOf(std::unique_ptr<Callbacks>... callbacks) {
  std::vector<std::unique_ptr<Callback>> list;
  (list.push_back(std::move(callbacks)), ...);
  return list;
}

}  // namespace tanren::trainer

#endif  // TANREN_TESTS_TRAINER_LOOP_SMALL_TRAINING_H_
