#include "tests/parallel/engine/toy_model.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace tanren::parallel {
namespace {

constexpr int64_t kVocabulary = 37;
constexpr int64_t kWidth = 12;
constexpr int64_t kLength = 6;

class ToyUnit : public Unit {
 public:
  ToyUnit(std::string name, std::vector<ParameterSpec> parameters)
      : name_(std::move(name)), parameters_(std::move(parameters)) {}
  const std::string& name() const override { return name_; }
  const std::vector<ParameterSpec>& parameters() const override { return parameters_; }

 private:
  std::string name_;
  std::vector<ParameterSpec> parameters_;
};

class Embedding final : public ToyUnit {
 public:
  Embedding(const ParameterSpec& weight, bool sparse)
      : ToyUnit("embed", {weight}), sparse_(sparse) {}
  Activations Forward(std::span<const at::Tensor> parameters, Activations in) const override {
    in.hidden = at::embedding(parameters[0], in.tokens_T, /*padding_idx=*/-1,
                              /*scale_grad_by_freq=*/false, sparse_);
    return in;
  }

 private:
  bool sparse_;
};

class Block final : public ToyUnit {
 public:
  using ToyUnit::ToyUnit;
  Activations Forward(std::span<const at::Tensor> parameters, Activations in) const override {
    const at::Tensor inner = at::linear(in.hidden * parameters[0], parameters[1], parameters[2]);
    in.hidden = in.hidden + at::tanh(inner);
    return in;
  }
};

class Scale final : public ToyUnit {
 public:
  using ToyUnit::ToyUnit;
  Activations Forward(std::span<const at::Tensor> parameters, Activations in) const override {
    in.hidden = in.hidden * parameters[0];
    return in;
  }
};

ParameterSpec Matrix(const std::string& name, std::vector<int64_t> shape, bool trainable) {
  return {name, std::move(shape), true, trainable, {Initializer::Kind::kNormal, 0.3}};
}

ParameterSpec Vector(const std::string& name, Initializer::Kind kind, bool trainable) {
  return {name, {kWidth}, false, trainable, {kind, 0}};
}

}  // namespace

ToyModel MakeToyModel(const ToyOptions& options) {
  using Kind = Initializer::Kind;
  ToyModel model;
  const auto trains = [&] { return static_cast<int>(model.units.size()) >= options.frozen_units; };
  const ParameterSpec embedding = Matrix("embed.weight", {kVocabulary, kWidth}, trains());
  model.units.push_back(std::make_shared<Embedding>(embedding, options.sparse_embedding));
  for (int i = 0; i < options.blocks; ++i) {
    const std::string name = "layers." + std::to_string(i);
    model.units.push_back(std::make_shared<Block>(
        name,
        std::vector<ParameterSpec>{Vector(name + ".norm.weight", Kind::kOnes, trains()),
                                   Matrix(name + ".linear.weight", {kWidth, kWidth}, trains()),
                                   Vector(name + ".linear.bias", Kind::kZeros, trains())}));
  }
  model.units.push_back(std::make_shared<Scale>(
      "norm", std::vector<ParameterSpec>{Vector("norm.weight", Kind::kOnes, trains())}));
  model.head = {options.tied ? embedding
                             : Matrix("lm_head.weight", {kVocabulary, kWidth}, trains())};
  return model;
}

Activations ToyInput(int step, int first, int count) {
  Activations input;
  const at::Tensor place = at::arange(first * kLength, (first + count) * kLength, at::kLong);
  input.tokens_T = (place * place * 7 + place + step * 11).remainder(kVocabulary);
  input.positions_T = place.remainder(kLength);
  input.document_offsets = at::arange(count + 1, at::kLong) * kLength;
  return input;
}

double ToyWeight() { return kToyDocuments * kLength; }

at::Tensor ToyLoss(const at::Tensor& hidden_TD, const at::Tensor& head_VD, const Activations& input,
                   double weight) {
  const at::Tensor targets_T = (input.tokens_T * 3 + 1).remainder(kVocabulary);
  const at::Tensor logits_TV = at::linear(hidden_TD, head_VD).to(at::kFloat);
  return at::cross_entropy_loss(logits_TV, targets_T, {}, at::Reduction::Sum) / weight;
}

HeadFunction ToyHead(const Activations& input, double weight) {
  return [=](const at::Tensor& hidden_TD, std::span<const at::Tensor> parameters,
             std::span<at::Tensor> gradients) {
    const at::AutoGradMode record(true);
    const at::Tensor hidden = hidden_TD.detach().requires_grad_();
    const at::Tensor head = parameters[0].detach().requires_grad_();
    const at::Tensor loss = ToyLoss(hidden, head, input, weight);
    const auto derived = torch::autograd::grad({loss}, {hidden, head});
    const at::NoGradGuard no_grad;
    if (gradients[0].defined()) gradients[0].add_(derived[1]);
    return HeadResult{loss.detach(), derived[0]};
  };
}

double ReferenceGradients(const ToyModel& model, std::map<std::string, at::Tensor>& parameters,
                          int step, std::map<std::string, at::Tensor>* gradients) {
  const at::AutoGradMode record(true);
  std::map<std::string, at::Tensor> leaves;
  for (const auto& [name, value] : parameters) leaves[name] = value.detach().requires_grad_();
  const auto values = [&](const std::vector<ParameterSpec>& specs) {
    std::vector<at::Tensor> result;
    for (const ParameterSpec& spec : specs) result.push_back(leaves.at(spec.name));
    return result;
  };
  const Activations input = ToyInput(step, 0, kToyDocuments);
  Activations flowing = input;
  for (const auto& unit : model.units) flowing = unit->Forward(values(unit->parameters()), flowing);
  const at::Tensor loss = ToyLoss(flowing.hidden, values(model.head)[0], input, ToyWeight());
  std::vector<at::Tensor> inputs;
  for (const auto& [name, leaf] : leaves) inputs.push_back(leaf);
  const auto derived = torch::autograd::grad({loss}, inputs);
  size_t i = 0;
  for (const auto& [name, leaf] : leaves) (*gradients)[name] = derived[i++];
  return loss.item<double>();
}

std::map<std::string, at::Tensor> WholeGradients(const Engine& engine, comm::Communicator& world) {
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> gradients;
  for (const auto& group : engine.groups()) {
    if (!group->trainable()) continue;
    const at::Tensor whole = at::empty({group->layout().padded_numel()}, at::kFloat);
    world.AllGather(whole, group->gradient_shard(), "test")->Wait();
    for (const PlacedParameter& placed : group->layout().parameters()) {
      gradients[placed.name] = whole.narrow(0, placed.offset, placed.numel).view(placed.shape);
    }
  }
  return gradients;
}

}  // namespace tanren::parallel
