#include "tests/trainer/loop/small_training.h"

#include <ATen/ATen.h>

#include "absl/strings/numbers.h"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

// Bytes and the special tokens of tests/trainer/data/chat.h.
constexpr int64_t kVocabulary = 1005;
constexpr int64_t kWidth = 8;

parallel::ParameterSpec Matrix(const std::string& name, int64_t rows) {
  return {name, {rows, kWidth}, true, true, {parallel::Initializer::Kind::kNormal, 0.5}};
}

class SmallUnit : public parallel::Unit {
 public:
  SmallUnit(std::string name, int64_t rows)
      : name_(std::move(name)), parameters_{Matrix(name_ + ".weight", rows)} {}
  const std::string& name() const override { return name_; }
  const std::vector<parallel::ParameterSpec>& parameters() const override { return parameters_; }

 private:
  std::string name_;
  std::vector<parallel::ParameterSpec> parameters_;
};

class Embedding final : public SmallUnit {
 public:
  Embedding() : SmallUnit("embed", kVocabulary) {}
  parallel::Activations Forward(std::span<const at::Tensor> parameters,
                                parallel::Activations in) const override {
    in.hidden = at::embedding(parameters[0], in.tokens_T);
    return in;
  }
};

class Layer final : public SmallUnit {
 public:
  Layer() : SmallUnit("layer", kWidth) {}
  parallel::Activations Forward(std::span<const at::Tensor> parameters,
                                parallel::Activations in) const override {
    in.hidden = in.hidden + at::tanh(at::linear(in.hidden, parameters[0]));
    return in;
  }
};

parallel::Engine MakeEngine(comm::Communicator& ranks) {
  parallel::EngineOptions options;
  options.fill_released_with_nan = true;
  return parallel::Engine({std::make_shared<Embedding>(), std::make_shared<Layer>()},
                          {Matrix("head.weight", kVocabulary)}, ranks, options);
}

}  // namespace

std::vector<Document> DocumentsOf(int64_t index) {
  std::vector<Document> documents(index % 3 == 2 ? 3 : 8);
  for (int64_t d = 0; d < static_cast<int64_t>(documents.size()); ++d) {
    for (int64_t i = 0; i < 2 + (index * 5 + d * 7) % 11; ++i) {
      documents[d].tokens.push_back(static_cast<int32_t>((index * 31 + d * 17 + i * i * 7) % 61));
      documents[d].weights.push_back((i + d) % 4 == 0 ? 0 : 0.5f * static_cast<float>(1 + d % 3));
    }
  }
  return documents;
}

absl::StatusOr<std::optional<StepBatches>> SmallSource::Next() {
  if (next_ == shape_.steps) return std::nullopt;
  const std::vector<Document> documents = DocumentsOf(next_++);
  const size_t places = static_cast<size_t>(shape_.world_size) * shape_.micro_batches;
  StepBatches step{.documents = static_cast<int64_t>(documents.size())};
  for (const Document& document : documents) {
    step.tokens += static_cast<int64_t>(document.tokens.size());
    for (size_t i = 1; i < document.weights.size(); ++i) step.target_weight += document.weights[i];
  }
  const Document nothing{{0}, {0}};
  for (int m = 0; m < shape_.micro_batches; ++m) {
    std::vector<const Document*> mine;
    for (size_t d = m * shape_.world_size + shape_.rank; d < documents.size(); d += places) {
      mine.push_back(&documents[d]);
    }
    if (mine.empty()) mine.push_back(&nothing);
    step.micro_batches.push_back(MakeBatch(mine));
  }
  return step;
}

std::string SmallSource::cursor() const { return std::to_string(next_); }

absl::Status SmallSource::Restore(std::string_view cursor) {
  if (absl::SimpleAtoi(std::string(cursor), &next_)) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("found \"{}\", expected a number", cursor));
}

SmallTraining::SmallTraining(comm::Communicator& ranks, int micro_batches, int64_t steps_of_data)
    : ranks(ranks),
      engine(MakeEngine(ranks)),
      optimizer(engine.TrainableShards(), {.momentum = 0.9}),
      source({ranks.size(), ranks.rank(), micro_batches, steps_of_data}) {
  engine.Initialize(5);
}

TrainingParts SmallTraining::parts() {
  return {ranks, engine, optimizer, scaler ? &*scaler : nullptr, source, objective};
}

TrainingOutcome SmallTraining::Run(int64_t steps_done, int64_t total_steps,
                                   std::vector<std::unique_ptr<Callback>> callbacks,
                                   std::function<bool()> stop_requested) {
  return TrainingLoop(parts(), {total_steps, {.peak = 0.5}, {}}, std::move(callbacks),
                      std::move(stop_requested))
      .Run(steps_done);
}

at::Tensor LossSum(const Tensors& parameters, const Batch& batch) {
  at::Tensor hidden_TD = at::embedding(parameters.at("embed.weight"), batch.tokens_T);
  hidden_TD = hidden_TD + at::tanh(at::linear(hidden_TD, parameters.at("layer.weight")));
  const at::Tensor logprobs_TV =
      at::log_softmax(at::linear(hidden_TD, parameters.at("head.weight")), -1);
  const at::Tensor of_target_T = logprobs_TV.gather(1, batch.targets_T.unsqueeze(1)).squeeze(1);
  return -(of_target_T * batch.weights_T).sum();
}

}  // namespace tanren::trainer
