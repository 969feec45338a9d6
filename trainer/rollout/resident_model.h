// A whole model in this process's memory, for reading: generation, scoring, evaluation. Nothing is
// gathered, nothing has gradients.
#ifndef TANREN_TRAINER_ROLLOUT_RESIDENT_MODEL_H_
#define TANREN_TRAINER_ROLLOUT_RESIDENT_MODEL_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "parallel/engine/engine.h"
#include "parallel/engine/unit.h"
#include "trainer/model/model.h"

namespace tanren::trainer {

class ResidentModel {
 public:
  // Every parameter of `model` by its name, all of one dtype.
  ResidentModel(Model model, const std::map<std::string, at::Tensor>& parameters);
  // Reads every parameter and keeps it as `dtype`. What `read` throws comes through.
  static ResidentModel Load(Model model, const parallel::ParameterReader& read,
                            at::ScalarType dtype);

  // The hidden states after the last unit.
  at::Tensor Forward(parallel::Activations input) const;
  const at::Tensor& head_weight_VD() const { return head_weight_VD_; }
  at::ScalarType dtype() const { return head_weight_VD_.scalar_type(); }
  int layer_count() const { return static_cast<int>(model_.units.size()); }

 private:
  Model model_;
  std::vector<std::vector<at::Tensor>> parameters_;  // of each unit
  at::Tensor head_weight_VD_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_RESIDENT_MODEL_H_
