#include "parallel/engine/engine.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <numeric>
#include <utility>

#include "parallel/engine/initialization.h"
#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

void CheckOptions(const EngineOptions& options) {
  const bool floating =
      at::isFloatingType(options.compute_dtype) && at::isFloatingType(options.gradient_dtype);
  if (options.zero_stage >= 1 && options.zero_stage <= 3 && options.prefetch_depth >= 0 &&
      options.prefetch_depth <= 1 && floating) {
    return;
  }
  throw Error(absl::InvalidArgumentError(
      fmt::format("an engine needs ZeRO stage 1, 2 or 3, a prefetch depth of 0 or 1 and floating "
                  "dtypes, not stage {}, depth {}, {} and {}",
                  options.zero_stage, options.prefetch_depth, c10::toString(options.compute_dtype),
                  c10::toString(options.gradient_dtype))));
}

std::vector<int> Range(int begin, int end) {
  std::vector<int> numbers(std::max(0, end - begin));
  std::iota(numbers.begin(), numbers.end(), begin);
  return numbers;
}

}  // namespace

Engine::Engine(std::vector<std::shared_ptr<const Unit>> units,
               std::vector<ParameterSpec> head_parameters, comm::Communicator& shard_axis,
               EngineOptions options)
    : units_(std::move(units)),
      options_(options),
      plan_(PlanParameterGroups(units_, head_parameters)),
      lowest_trained_(static_cast<int>(units_.size()) + 1) {
  CheckOptions(options_);
  for (const PlannedGroup& planned : plan_.groups) {
    const bool used_by_head = planned.users.back() == head_consumer();
    groups_.push_back(std::make_unique<ShardGroup>(
        planned.name, planned.parameters, shard_axis,
        ShardGroupOptions{.compute_dtype = options_.compute_dtype,
                          .gradient_dtype = options_.gradient_dtype,
                          .sums_before_reduce =
                              options_.zero_stage == 1 || planned.users.size() > 1 || used_by_head,
                          .fill_released_with_nan = options_.fill_released_with_nan}));
    if (planned.trainable()) lowest_trained_ = std::min(lowest_trained_, planned.users.front());
  }
}

void Engine::Initialize(uint64_t seed) {
  for (const auto& group : groups_) {
    FillShard(*group, [&](const ParameterSpec& spec, int64_t begin, std::span<float> values) {
      InitialValues(spec, seed, begin, values);
    });
  }
}

void Engine::LoadParameters(const ParameterReader& read) {
  for (const auto& group : groups_) {
    FillShard(*group, [&](const ParameterSpec& spec, int64_t begin, std::span<float> values) {
      read(spec.name, begin, begin + static_cast<int64_t>(values.size()), values);
    });
  }
}

void Engine::BeginStep() {
  reducing_ = nullptr;
  for (const auto& group : groups_) {
    if (options_.zero_stage == 3) group->Release();
    group->ResetGradients();
  }
}

at::Tensor Engine::ForwardBackward(const Activations& input, const HeadFunction& head) {
  const at::NoGradGuard no_grad;  // graphs are recorded inside visits only
  // Up to the head and back to the lowest consumer that has something to train.
  std::vector<int> consumers = Range(0, head_consumer() + 1);
  for (int unit = head_consumer() - 1; unit >= lowest_trained_; --unit) consumers.push_back(unit);
  GatherWalk walk = WalkOver(std::move(consumers));

  const bool keep_graphs = options_.recompute == Recompute::kNone;
  std::vector<Visited> visits(units_.size());
  Activations flowing = input;
  for (int unit = 0; unit < head_consumer(); ++unit) {
    walk.Enter();
    Visited visit = VisitForward(unit, std::move(flowing), keep_graphs);
    walk.Leave();
    flowing = visit.output;
    flowing.hidden = visit.output.hidden.detach();
    if (!keep_graphs) visit.output = {};
    if (unit >= lowest_trained_) visits[unit] = std::move(visit);
  }

  walk.Enter();
  const HeadResult result = VisitHead(flowing.hidden, head);
  walk.Leave();
  ReduceAfter(head_consumer());
  flowing = {};

  at::Tensor d_hidden = result.d_hidden;
  for (int unit = head_consumer() - 1; unit >= lowest_trained_; --unit) {
    walk.Enter();
    d_hidden = VisitBackward(unit, std::exchange(visits[unit], {}), d_hidden);
    walk.Leave();
    ReduceAfter(unit);
  }
  FinishPendingReduce();
  return result.loss_sum;
}

void Engine::FinishStep() {
  if (options_.zero_stage == 1) {
    for (const auto& group : groups_) {
      if (group->trainable()) StartReduce(*group);
    }
    FinishPendingReduce();
  }
  for (const auto& group : groups_) group->FinishGradients();
}

Activations Engine::Forward(const Activations& input, const HeadReader& head) {
  const at::NoGradGuard no_grad;
  GatherWalk walk = WalkOver(Range(0, head_consumer() + (head ? 1 : 0)));
  Activations flowing = input;
  for (int unit = 0; unit < head_consumer(); ++unit) {
    walk.Enter();
    flowing = VisitForward(unit, std::move(flowing), false).output;
    walk.Leave();
  }
  if (head) {
    walk.Enter();
    head(flowing.hidden, ParametersOf(head_consumer()));
    walk.Leave();
  }
  return flowing;
}

std::map<std::string, at::Tensor> Engine::GatherAll() {
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> whole;
  for (const auto& group : groups_) {
    group->FinishGather();
    for (size_t i = 0; i < group->specs().size(); ++i) {
      whole[group->specs()[i].name] = group->parameters()[i].detach().clone();
    }
    if (options_.zero_stage == 3) group->Release();
  }
  return whole;
}

std::vector<TrainableShard> Engine::TrainableShards() const {
  std::vector<TrainableShard> shards;
  for (const auto& group : groups_) {
    if (group->trainable()) shards.push_back(group->AsTrainableShard());
  }
  return shards;
}

std::vector<at::Tensor> Engine::ParametersOf(int consumer) const {
  std::vector<at::Tensor> parameters;
  for (const ParameterPlace& place : plan_.places[consumer]) {
    parameters.push_back(groups_[place.group]->parameters()[place.index]);
  }
  return parameters;
}

Engine::Visited Engine::VisitForward(int unit, Activations input, bool with_graph) const {
  with_graph = with_graph && unit >= lowest_trained_;
  const at::AutoGradMode mode(with_graph);
  if (with_graph && unit > lowest_trained_) {
    input.hidden = input.hidden.detach().requires_grad_();
  }
  Activations output = units_[unit]->Forward(ParametersOf(unit), input);
  TANREN_CHECK(output.hidden.defined(), "unit '{}' returned no hidden states",
               units_[unit]->name());
  return {std::move(input), std::move(output)};
}

HeadResult Engine::VisitHead(const at::Tensor& hidden_TD, const HeadFunction& head) {
  std::vector<at::Tensor> gradients;
  for (const ParameterPlace& place : plan_.places[head_consumer()]) {
    ShardGroup& group = *groups_[place.group];
    gradients.push_back(group.trainable() ? group.MutableGradient(place.index) : at::Tensor());
  }
  HeadResult result = head(hidden_TD, ParametersOf(head_consumer()), gradients);
  const bool needed = lowest_trained_ < head_consumer();
  TANREN_CHECK(
      !needed || (result.d_hidden.defined() && result.d_hidden.sizes() == hidden_TD.sizes()),
      "the head returned no derivative of the shape of its hidden states");
  return result;
}

at::Tensor Engine::VisitBackward(int unit, Visited visited, const at::Tensor& d_hidden) {
  if (!visited.output.hidden.defined()) {
    visited = VisitForward(unit, std::move(visited.input), true);
  }
  const at::Tensor& output = visited.output.hidden;
  const std::vector<at::Tensor> parameters = ParametersOf(unit);
  const std::vector<ParameterPlace>& places = plan_.places[unit];
  std::vector<at::Tensor> inputs;
  std::vector<ParameterPlace> trained;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].requires_grad()) continue;
    inputs.push_back(parameters[i]);
    trained.push_back(places[i]);
  }
  const bool has_lower = unit > lowest_trained_;
  if (has_lower) inputs.push_back(visited.input.hidden);

  std::vector<at::Tensor> gradients = torch::autograd::grad(
      {output}, inputs, {d_hidden.to(output.scalar_type())}, /*retain_graph=*/false,
      /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < trained.size(); ++i) {
    if (!gradients[i].defined()) continue;  // the unit didn't use it this time
    groups_[trained[i].group]->AddGradient(trained[i].index, gradients[i]);
    gradients[i].reset();
  }
  if (!has_lower) return {};
  return gradients.back().defined() ? gradients.back() : at::zeros_like(visited.input.hidden);
}

GatherWalk Engine::WalkOver(std::vector<int> consumers) const {
  return GatherWalk(plan_, groups_, std::move(consumers),
                    {options_.prefetch_depth, /*release=*/options_.zero_stage == 3});
}

void Engine::ReduceAfter(int consumer) {
  if (options_.zero_stage == 1) return;
  for (int group : plan_.groups_of[consumer]) {
    const bool last_use = plan_.groups[group].users.front() == consumer;
    if (last_use && groups_[group]->trainable()) StartReduce(*groups_[group]);
  }
}

void Engine::StartReduce(ShardGroup& group) {
  // One at a time: it runs beside the next unit's backward, and only one whole gradient waits.
  FinishPendingReduce();
  group.StartReduce();
  reducing_ = &group;
}

void Engine::FinishPendingReduce() {
  if (reducing_ != nullptr) std::exchange(reducing_, nullptr)->FinishReduce();
}

}  // namespace tanren::parallel
