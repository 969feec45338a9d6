#include "trainer/rollout/resident_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.h"

namespace tanren::trainer {

ResidentModel::ResidentModel(Model model, const std::map<std::string, at::Tensor>& parameters)
    : model_(std::move(model)) {
  const auto find = [&](const parallel::ParameterSpec& spec) {
    const auto found = parameters.find(spec.name);
    TANREN_CHECK(found != parameters.end(), "the model's parameter '{}' is missing", spec.name);
    TANREN_CHECK(found->second.sizes() == at::IntArrayRef(spec.shape),
                 "parameter '{}' has another shape than the model's", spec.name);
    return found->second;
  };
  for (const auto& unit : model_.units) {
    std::vector<at::Tensor>& of_unit = parameters_.emplace_back();
    for (const parallel::ParameterSpec& spec : unit->parameters()) of_unit.push_back(find(spec));
  }
  head_weight_VD_ = find(model_.head);
}

ResidentModel ResidentModel::Load(Model model, const parallel::ParameterReader& read,
                                  at::ScalarType dtype) {
  constexpr int64_t kChunk = int64_t{1} << 22;
  std::map<std::string, at::Tensor> parameters;
  std::vector<float> values;
  for (const parallel::ParameterSpec& spec : ParametersOf(model)) {
    at::Tensor& whole = parameters[spec.name];
    whole = at::empty(spec.shape, dtype);
    const at::Tensor flat = whole.view(-1);
    for (int64_t begin = 0; begin < flat.numel(); begin += kChunk) {
      const int64_t end = std::min(flat.numel(), begin + kChunk);
      values.resize(static_cast<size_t>(end - begin));
      read(spec.name, begin, end, values);
      flat.slice(0, begin, end).copy_(at::from_blob(values.data(), {end - begin}));
    }
  }
  return ResidentModel(std::move(model), parameters);
}

at::Tensor ResidentModel::Forward(parallel::Activations input) const {
  const at::NoGradGuard no_grad;
  for (size_t unit = 0; unit < model_.units.size(); ++unit) {
    input = model_.units[unit]->Forward(parameters_[unit], std::move(input));
  }
  return input.hidden;
}

}  // namespace tanren::trainer
