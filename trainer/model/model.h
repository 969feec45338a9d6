// A model as a list of units and an output head. Families register themselves in model.cc, one line
// each.
#ifndef TANREN_TRAINER_MODEL_MODEL_H_
#define TANREN_TRAINER_MODEL_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "parallel/engine/unit.h"
#include "runtime/formats/model_config.h"

namespace tanren::trainer {

struct Model {
  std::vector<std::shared_ptr<const parallel::Unit>> units;
  // The output projection [V, D]: one parameter, that of the embedding where they are tied.
  parallel::ParameterSpec head;
};

// kUnimplemented for an architecture that no family here has, naming those that there are.
absl::StatusOr<Model> BuildModel(const formats::ModelConfig& config);

// Every parameter once, in the order of use.
std::vector<parallel::ParameterSpec> ParametersOf(const Model& model);
int64_t ParameterCount(const Model& model);

// Floating-point operations of one trained token: forward and backward products, with attention
// over an average context of `context` earlier tokens. 6 for each parameter in a product (the
// head's count, the embedding's look-up doesn't) + 12 · layers · H · d · context.
double FlopsPerToken(const formats::ModelConfig& config, const Model& model, double context);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MODEL_MODEL_H_
