#include "trainer/model/model.h"

#include <set>

#include "absl/strings/str_join.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "trainer/model/llama.h"

namespace tanren::trainer {
namespace {

struct Family {
  const char* architecture;  // in config.json
  Model (*build)(const formats::ModelConfig& config);
};

constexpr Family kFamilies[] = {
    {"LlamaForCausalLM", BuildLlama},
    {"Qwen2ForCausalLM", BuildLlama},
    {"Qwen3ForCausalLM", BuildLlama},
};

}  // namespace

absl::StatusOr<Model> BuildModel(const formats::ModelConfig& config) {
  std::string known;
  for (const Family& family : kFamilies) {
    if (config.architecture == family.architecture) {
      try {
        return family.build(config);
      } catch (...) {
        return StatusOfCurrentException();
      }
    }
    if (!known.empty()) known += ", ";
    known += family.architecture;
  }
  return absl::UnimplementedError(fmt::format(
      "architecture '{}' is not supported; supported are: {}", config.architecture, known));
}

std::vector<parallel::ParameterSpec> ParametersOf(const Model& model) {
  std::vector<parallel::ParameterSpec> parameters;
  std::set<std::string> seen;
  const auto add = [&](const parallel::ParameterSpec& spec) {
    if (seen.insert(spec.name).second) parameters.push_back(spec);
  };
  for (const auto& unit : model.units) {
    for (const parallel::ParameterSpec& spec : unit->parameters()) add(spec);
  }
  add(model.head);
  return parameters;
}

namespace {

int64_t Numel(const parallel::ParameterSpec& spec) {
  int64_t numel = 1;
  for (int64_t size : spec.shape) numel *= size;
  return numel;
}

}  // namespace

int64_t ParameterCount(const Model& model) {
  int64_t count = 0;
  for (const parallel::ParameterSpec& spec : ParametersOf(model)) count += Numel(spec);
  return count;
}

double FlopsPerToken(const formats::ModelConfig& config, const Model& model, double context) {
  double products = static_cast<double>(Numel(model.head));
  for (size_t unit = 1; unit < model.units.size(); ++unit) {  // 0 looks up, it doesn't multiply
    for (const parallel::ParameterSpec& spec : model.units[unit]->parameters()) {
      if (spec.shape.size() == 2) products += static_cast<double>(Numel(spec));
    }
  }
  return 6 * products + 12.0 * static_cast<double>(config.num_hidden_layers) *
                            static_cast<double>(config.num_attention_heads * config.head_dim) *
                            context;
}

}  // namespace tanren::trainer
