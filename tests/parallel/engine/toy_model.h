// A model small enough to check by one ordinary autograd graph: embedding, blocks with a norm-like
// scale, a matrix and a bias, a final scale, and a head that is tied to the embedding or not.
#ifndef TANREN_TESTS_PARALLEL_ENGINE_TOY_MODEL_H_
#define TANREN_TESTS_PARALLEL_ENGINE_TOY_MODEL_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "parallel/engine/engine.h"
#include "parallel/engine/unit.h"

namespace tanren::parallel {

struct ToyModel {
  std::vector<std::shared_ptr<const Unit>> units;
  std::vector<ParameterSpec> head;
};

struct ToyOptions {
  int blocks = 3;
  bool tied = true;
  int frozen_units = 0;  // the first ones
  // The embedding's gradient is a sparse tensor of the rows that were looked up.
  bool sparse_embedding = false;
};

ToyModel MakeToyModel(const ToyOptions& options);

// Documents `first` … `first` + `count` − 1 of a step, of 6 tokens each.
Activations ToyInput(int step, int first, int count);
inline constexpr int kToyDocuments = 8;  // of a step

// The sum of cross-entropies of predicting each token's target, divided by `weight`.
at::Tensor ToyLoss(const at::Tensor& hidden_TD, const at::Tensor& head_VD, const Activations& input,
                   double weight);
HeadFunction ToyHead(const Activations& input, double weight);
// The number of targets of a whole step.
double ToyWeight();

// By one ordinary graph over `parameters`: the step's loss and each parameter's gradient.
double ReferenceGradients(const ToyModel& model, std::map<std::string, at::Tensor>& parameters,
                          int step, std::map<std::string, at::Tensor>* gradients);

// A whole tensor for each trainable parameter, from every rank's gradient shards.
std::map<std::string, at::Tensor> WholeGradients(const Engine& engine, comm::Communicator& world);

}  // namespace tanren::parallel

#endif  // TANREN_TESTS_PARALLEL_ENGINE_TOY_MODEL_H_
