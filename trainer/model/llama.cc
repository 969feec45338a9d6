#include "trainer/model/llama.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/kernels/attention.h"
#include "runtime/kernels/fused_linear.h"
#include "runtime/kernels/linear.h"
#include "runtime/kernels/norm.h"
#include "runtime/kernels/rotary.h"
#include "runtime/kernels/rotary_frequencies.h"
#include "trainer/model/shapes.h"

namespace tanren::trainer {
namespace {

using formats::ModelConfig;
using parallel::Activations;
using parallel::Initializer;
using parallel::ParameterSpec;

constexpr char kEmbedding[] = "model.embed_tokens.weight";

ParameterSpec Matrix(std::string name, int64_t rows, int64_t columns, const ModelConfig& config) {
  ParameterSpec spec{std::move(name), {rows, columns}};
  spec.initializer.std = config.initializer_range;
  return spec;
}

ParameterSpec Vector(std::string name, int64_t size, Initializer::Kind kind) {
  ParameterSpec spec{std::move(name), {size}};
  spec.decay = false;
  spec.initializer.kind = kind;
  return spec;
}

kernels::RotaryScaling ScalingOf(const formats::RopeScaling& scaling) {
  using Kind = kernels::RotaryScaling::Kind;
  kernels::RotaryScaling result;
  switch (scaling.kind) {
    case formats::RopeScaling::Kind::kNone:
      result.kind = Kind::kNone;
      break;
    case formats::RopeScaling::Kind::kLinear:
      result.kind = Kind::kLinear;
      break;
    case formats::RopeScaling::Kind::kLlama3:
      result.kind = Kind::kLlama3;
      break;
  }
  result.factor = scaling.factor;
  result.low_freq_factor = scaling.low_freq_factor;
  result.high_freq_factor = scaling.high_freq_factor;
  result.original_max_position_embeddings = scaling.original_max_position_embeddings;
  return result;
}

class LlamaUnit : public parallel::Unit {
 public:
  const std::string& name() const override { return name_; }
  const std::vector<ParameterSpec>& parameters() const override { return parameters_; }

 protected:
  LlamaUnit(std::string name, std::vector<ParameterSpec> parameters)
      : name_(std::move(name)), parameters_(std::move(parameters)) {}

 private:
  std::string name_;
  std::vector<ParameterSpec> parameters_;
};

class Embedding final : public LlamaUnit {
 public:
  explicit Embedding(const ModelConfig& config)
      : LlamaUnit("model.embed_tokens",
                  {Matrix(kEmbedding, config.vocab_size, config.hidden_size, config)}),
        inverse_frequencies_(kernels::InverseFrequencies(config.head_dim, config.rope_theta,
                                                         ScalingOf(config.rope_scaling))) {}

  Activations Forward(std::span<const at::Tensor> parameters, Activations in) const override {
    // A dense gradient would be as large as the vocabulary, for the few rows that were looked up.
    in.hidden = at::embedding(parameters[0], in.tokens_T, /*padding_idx=*/-1,
                              /*scale_grad_by_freq=*/false, /*sparse=*/true);
    const kernels::RotaryTable table =
        kernels::MakeRotaryTable(inverse_frequencies_, in.positions_T, parameters[0].scalar_type());
    in.rotary_cos = table.cos_Td;
    in.rotary_sin = table.sin_Td;
    return in;
  }

 private:
  std::vector<double> inverse_frequencies_;
};

// x + attention(norm(x)), then x + feed-forward(norm(x)).
class Block final : public LlamaUnit {
 public:
  Block(const ModelConfig& config, int layer)
      : LlamaUnit(Prefix(layer), Specs(config, Prefix(layer))),
        layer_(layer),
        head_size_(config.head_dim),
        epsilon_(config.rms_norm_eps),
        attention_bias_(config.attention_bias),
        attention_output_bias_(config.attention_output_bias),
        mlp_bias_(config.mlp_bias),
        query_key_norm_(config.query_key_norm) {}

  Activations Forward(std::span<const at::Tensor> parameters, Activations in) const override {
    Reader weights(parameters);
    const at::Tensor& input_norm = weights.Next();
    const Affine q = weights.NextAffine(attention_bias_), k = weights.NextAffine(attention_bias_),
                 v = weights.NextAffine(attention_bias_),
                 o = weights.NextAffine(attention_output_bias_);
    const HeadNorm q_norm = weights.NextHeadNorm(query_key_norm_, epsilon_),
                   k_norm = weights.NextHeadNorm(query_key_norm_, epsilon_);
    const at::Tensor& post_norm = weights.Next();
    const Affine gate = weights.NextAffine(mlp_bias_), up = weights.NextAffine(mlp_bias_),
                 down = weights.NextAffine(mlp_bias_);

    const std::vector<at::Tensor> qkv =
        kernels::NormedLinears(in.hidden, input_norm, epsilon_, {q, k, v});
    const kernels::RotaryTable rotary{in.rotary_cos, in.rotary_sin};
    const at::Tensor q_THd = kernels::Rotary(q_norm(Heads(qkv[0])), rotary);
    const at::Tensor k_TKd = kernels::Rotary(k_norm(Heads(qkv[1])), rotary);
    const at::Tensor mixed_THd = Attend(in, q_THd, k_TKd, Heads(qkv[2]));
    const at::Tensor hidden_TD =
        in.hidden + kernels::Linear(mixed_THd.flatten(1), o.weight_OD, o.bias_O);

    const std::vector<at::Tensor> gate_up =
        kernels::NormedLinears(hidden_TD, post_norm, epsilon_, {gate, up});
    in.hidden = hidden_TD + kernels::GatedLinear(gate_up[0], gate_up[1], down);
    return in;
  }

 private:
  using Affine = kernels::AffineWeights;

  // Of each head by itself; where the family has none, nothing happens.
  struct HeadNorm {
    at::Tensor weight_d;
    double epsilon;
    at::Tensor operator()(const at::Tensor& x_THd) const {
      return weight_d.defined() ? kernels::RmsNorm(x_THd, weight_d, epsilon) : x_THd;
    }
  };

  // Hands out the parameters in the order of Specs().
  class Reader {
   public:
    explicit Reader(std::span<const at::Tensor> parameters) : parameters_(parameters) {}
    const at::Tensor& Next() { return parameters_[next_++]; }
    Affine NextAffine(bool with_bias) {
      const at::Tensor& weight = Next();
      return {weight, with_bias ? Next() : at::Tensor()};
    }
    HeadNorm NextHeadNorm(bool present, double epsilon) {
      return {present ? Next() : at::Tensor(), epsilon};
    }

   private:
    std::span<const at::Tensor> parameters_;
    size_t next_ = 0;
  };

  static std::string Prefix(int layer) { return fmt::format("model.layers.{}", layer); }

  static std::vector<ParameterSpec> Specs(const ModelConfig& config, const std::string& prefix) {
    std::vector<ParameterSpec> specs;
    const auto norm = [&](const char* name, int64_t size) {
      specs.push_back(
          Vector(fmt::format("{}.{}.weight", prefix, name), size, Initializer::Kind::kOnes));
    };
    const auto affine = [&](const char* name, int64_t out, int64_t in, bool with_bias) {
      specs.push_back(Matrix(fmt::format("{}.{}.weight", prefix, name), out, in, config));
      if (!with_bias) return;
      specs.push_back(
          Vector(fmt::format("{}.{}.bias", prefix, name), out, Initializer::Kind::kZeros));
    };
    const int64_t width = config.hidden_size, ffn = config.intermediate_size;
    const int64_t queries = config.num_attention_heads * config.head_dim;
    const int64_t keys = config.num_key_value_heads * config.head_dim;
    norm("input_layernorm", width);
    affine("self_attn.q_proj", queries, width, config.attention_bias);
    affine("self_attn.k_proj", keys, width, config.attention_bias);
    affine("self_attn.v_proj", keys, width, config.attention_bias);
    affine("self_attn.o_proj", width, queries, config.attention_output_bias);
    if (config.query_key_norm) {
      norm("self_attn.q_norm", config.head_dim);
      norm("self_attn.k_norm", config.head_dim);
    }
    norm("post_attention_layernorm", width);
    affine("mlp.gate_proj", ffn, width, config.mlp_bias);
    affine("mlp.up_proj", ffn, width, config.mlp_bias);
    affine("mlp.down_proj", width, ffn, config.mlp_bias);
    return specs;
  }

  at::Tensor Heads(const at::Tensor& x) const {
    return x.view({x.size(0), x.size(1) / head_size_, head_size_});
  }

  at::Tensor Attend(const Activations& in, const at::Tensor& q_THd, const at::Tensor& k_TKd,
                    const at::Tensor& v_TKd) const {
    const double scale = 1 / std::sqrt(static_cast<double>(head_size_));
    if (in.cache != nullptr) return in.cache->Attend(layer_, q_THd, k_TKd, v_TKd, scale);
    return kernels::DocumentAttention(q_THd, k_TKd, v_TKd, in.document_offsets, scale,
                                      in.device_offsets);
  }

  int layer_;
  int64_t head_size_;
  double epsilon_;
  bool attention_bias_;
  bool attention_output_bias_;
  bool mlp_bias_;
  bool query_key_norm_;
};

class FinalNorm final : public LlamaUnit {
 public:
  explicit FinalNorm(const ModelConfig& config)
      : LlamaUnit("model.norm",
                  {Vector("model.norm.weight", config.hidden_size, Initializer::Kind::kOnes)}),
        epsilon_(config.rms_norm_eps) {}

  Activations Forward(std::span<const at::Tensor> parameters, Activations in) const override {
    in.hidden = kernels::RmsNorm(in.hidden, parameters[0], epsilon_);
    return in;
  }

 private:
  double epsilon_;
};

}  // namespace

Model BuildLlama(const ModelConfig& config) {
  Model model;
  model.units.push_back(std::make_shared<Embedding>(config));
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    model.units.push_back(std::make_shared<Block>(config, layer));
  }
  model.units.push_back(std::make_shared<FinalNorm>(config));
  model.head = Matrix(config.tie_word_embeddings ? kEmbedding : "lm_head.weight", config.vocab_size,
                      config.hidden_size, config);
  return model;
}

}  // namespace tanren::trainer
