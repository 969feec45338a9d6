// A unit is a piece of a model as a pure function of parameters and activations: an embedding, one
// transformer block, the final norm. It owns no weights. A unit is at once the boundary of
// recompute, the grain of gather and release, and a layer of the key-value cache; a model is a list
// of units. Two units (or a unit and the head) that name the same parameter share it.
#ifndef TANREN_PARALLEL_ENGINE_UNIT_H_
#define TANREN_PARALLEL_ENGINE_UNIT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tanren::parallel {

// How a parameter starts when a model is trained from scratch.
struct Initializer {
  enum class Kind { kNormal, kOnes, kZeros };
  Kind kind = Kind::kNormal;
  double std = 0.02;  // of kNormal
  bool operator==(const Initializer&) const = default;
};

struct ParameterSpec {
  std::string name;  // Hugging Face name, such as "model.layers.0.mlp.up_proj.weight"
  std::vector<int64_t> shape;
  bool decay = true;  // weight decay applies: matrices yes, norms and biases no
  bool trainable = true;
  Initializer initializer;
  bool operator==(const ParameterSpec&) const = default;
};

// The keys and values of earlier tokens, for generation. How they are stored (contiguous, paged, by
// sequence) is the cache's own affair, so attention over them is too.
class KeyValueCache {
 public:
  virtual ~KeyValueCache() = default;
  // Appends the new tokens' keys and values [T, key-value heads, head size] (positions already
  // rotated in) to `layer`, then attends causally over everything stored: queries and result
  // [T, heads, head size]. Scores are multiplied by `scale`. Which token belongs to which sequence
  // follows document_offsets of the same Activations, which the cache's owner made.
  virtual at::Tensor Attend(int layer, const at::Tensor& queries, const at::Tensor& keys,
                            const at::Tensor& values, double scale) = 0;
};

// What flows from unit to unit. T tokens of all documents one after another, width D.
struct Activations {
  at::Tensor hidden;       // [T, D] compute dtype; undefined before the embedding
  at::Tensor tokens_T;     // int64
  at::Tensor positions_T;  // int64, from 0 in each document
  // [N + 1] int64, always on the CPU: document n is tokens [n] … [n + 1] − 1. On a GPU also there,
  // as int32, for attention: made once for all layers, by whoever moves a batch.
  at::Tensor document_offsets, device_offsets;
  // The rotary embedding's, [T, head size], where the model has one: made by its first unit from
  // the positions, for all layers.
  at::Tensor rotary_cos, rotary_sin;
  KeyValueCache* cache = nullptr;  // null in training; not owned
};

class Unit {
 public:
  virtual ~Unit() = default;
  // Such as "model.layers.3": names its group in messages and records.
  virtual const std::string& name() const = 0;
  virtual const std::vector<ParameterSpec>& parameters() const = 0;
  // `parameters` are in the order of parameters(), in the compute dtype. Returns `in` with a new
  // hidden. A pure function: no state, the same result for the same input (recompute and other
  // ranks rely on it), so any randomness is counter-based. May not change its arguments in place.
  virtual Activations Forward(std::span<const at::Tensor> parameters, Activations in) const = 0;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_ENGINE_UNIT_H_
