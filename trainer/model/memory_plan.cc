#include "trainer/model/memory_plan.h"

#include <algorithm>

#include "runtime/kernels/linear_cross_entropy.h"

namespace tanren::trainer {
namespace {

using parallel::VisitMemory;

// Measured on CPUs: code and data of libtorch and the worker, tokenizer, chat template.
constexpr int64_t kProgramBytes = 200'000'000;
// Measured with glibc's allocator and SmolLM2, 512 to 2048 tokens: what the backward walk frees is
// in pieces, of which about a third isn't fit for the next step.
constexpr double kFragmentedShare = 1.0 / 3;

constexpr int64_t kHeadPackWidth = 64;  // kernels/cpu/multiply.cc: columns packed at once

struct Sizes {
  int64_t tokens, element;
  int64_t width, ffn, queries, keys, heads, key_heads, head_size, vocabulary;

  // Of so many numbers a token, in the compute dtype.
  int64_t Each(int64_t numbers) const { return tokens * numbers * element; }
  int64_t EachInFp32(int64_t numbers) const { return tokens * numbers * 4; }
};

int64_t Numel(const parallel::ParameterSpec& spec) {
  int64_t numel = 1;
  for (const int64_t size : spec.shape) numel *= size;
  return numel;
}

// The gradients of a unit's parameters, which autograd returns together.
int64_t GradientBytes(const parallel::Unit& unit, const Sizes& sizes) {
  int64_t numel = 0;
  for (const parallel::ParameterSpec& spec : unit.parameters()) numel += Numel(spec);
  return numel * sizes.element;
}

VisitMemory EmbeddingVisit(const Sizes& sizes) {
  VisitMemory visit;
  // Hidden states, and the rotary embedding's cosines and sines.
  visit.output = sizes.Each(sizes.width + 2 * sizes.head_size);
  // The sparse gradient's rows, in the compute dtype and summed in fp32.
  visit.backward = sizes.Each(2 * sizes.width) + sizes.EachInFp32(sizes.width);
  return visit;
}

// What the functions of fused_linear.cc, attention.cc, rotary.cc and linear.cc save, in the order
// in which llama.cc calls them.
VisitMemory BlockVisit(const formats::ModelConfig& config, const parallel::Unit& unit,
                       const Sizes& sizes) {
  VisitMemory visit;
  visit.output = sizes.Each(sizes.width);
  const int64_t normed_heads =
      config.query_key_norm
          ? sizes.Each(sizes.queries + sizes.keys) + sizes.EachInFp32(sizes.heads + sizes.key_heads)
          : 0;
  visit.kept = sizes.EachInFp32(1) +                             // the first norm's 1/rms
               normed_heads +                                    // queries, keys before their norms
               sizes.Each(2 * sizes.queries + 2 * sizes.keys) +  // attention: q, result, k, v
               sizes.EachInFp32(sizes.heads) +                   // its log-sum-exp
               sizes.Each(sizes.width) +                         // the second norm's input
               sizes.EachInFp32(1) +                             // and 1/rms
               sizes.Each(2 * sizes.ffn);                        // gate and up
  // The gated product and the output before it is added.
  visit.forward = sizes.Each(sizes.ffn + sizes.width);
  // Derivatives of the output (as it came, and passed on by the sum), and in the feed-forward
  // network those of gate, up and their product, with the product computed anew.
  visit.backward = sizes.Each(2 * sizes.width + 4 * sizes.ffn) + GradientBytes(unit, sizes);
  return visit;
}

VisitMemory FinalNormVisit(const Sizes& sizes) {
  VisitMemory visit;
  visit.output = sizes.Each(sizes.width);
  visit.kept = sizes.EachInFp32(1);
  visit.backward = sizes.Each(2 * sizes.width);
  return visit;
}

VisitMemory HeadVisit(const Sizes& sizes) {
  const int64_t rows = std::min(kernels::kLogitChunkRows, sizes.tokens);
  VisitMemory visit;
  visit.forward = rows * sizes.vocabulary * 4 +             // logits
                  2 * rows * sizes.width * sizes.element +  // their hidden states, derivatives
                  sizes.Each(sizes.width) +                 // the derivative of all
                  sizes.vocabulary * kHeadPackWidth * 4;    // the weight as the product wants it
  return visit;
}

}  // namespace

std::vector<VisitMemory> VisitsOf(const formats::ModelConfig& config, const Model& model,
                                  int64_t tokens, const parallel::EngineOptions& engine) {
  const Sizes sizes{tokens,
                    static_cast<int64_t>(c10::elementSize(engine.compute_dtype)),
                    config.hidden_size,
                    config.intermediate_size,
                    config.num_attention_heads * config.head_dim,
                    config.num_key_value_heads * config.head_dim,
                    config.num_attention_heads,
                    config.num_key_value_heads,
                    config.head_dim,
                    config.vocab_size};
  std::vector<VisitMemory> visits = {EmbeddingVisit(sizes)};
  for (size_t unit = 1; unit + 1 < model.units.size(); ++unit) {
    visits.push_back(BlockVisit(config, *model.units[unit], sizes));
  }
  visits.push_back(FinalNormVisit(sizes));
  visits.push_back(HeadVisit(sizes));
  return visits;
}

MemoryPlan PlanMemory(const formats::ModelConfig& config, const Model& model,
                      const MemoryPlanOptions& options) {
  const int64_t element = static_cast<int64_t>(c10::elementSize(options.engine.compute_dtype));
  const std::vector<VisitMemory> visits = VisitsOf(config, model, options.tokens, options.engine);
  MemoryPlan plan;
  plan.step = parallel::PlanStepMemory(model.units, {model.head}, options.world_size,
                                       options.engine, visits, options.micro_batches);
  plan.optimizer = plan.step.masters * options.moments;
  plan.program = kProgramBytes;
  // Gathered weights and logits find their earlier place taken by smaller tensors.
  plan.fragments =
      plan.step.gathered + visits.back().forward +
      static_cast<int64_t>(kFragmentedShare * static_cast<double>(plan.step.activations));
  if (options.sampled_sequences > 0) {
    const int64_t cached = 2 * config.num_hidden_layers * config.num_key_value_heads *
                           config.head_dim * options.sampled_sequences * options.sampled_tokens;
    plan.sampling = (ParameterCount(model) + cached) * element;
  }
  return plan;
}

std::vector<std::pair<std::string, int64_t>> MemoryPlan::Kinds() const {
  std::vector<std::pair<std::string, int64_t>> kinds = {{"masters (fp32)", step.masters},
                                                        {"gradients (fp32)", step.gradients},
                                                        {"optimizer state", optimizer},
                                                        {"gathered weights", step.gathered},
                                                        {"whole gradients", step.whole_gradients},
                                                        {"activations", step.activations},
                                                        {"working buffers", step.working},
                                                        {"allocator's gaps", fragments},
                                                        {"program", program}};
  const int64_t more = sampling - step.Passing() - fragments;
  if (more > 0) kinds.emplace_back("sample answers", more);
  return kinds;
}

int64_t MemoryPlan::Total() const {
  int64_t total = 0;
  for (const auto& [name, bytes] : Kinds()) total += bytes;
  return total;
}

int64_t CheckpointBytes(const Model& model, int moments) {
  return ParameterCount(model) * 4 * (1 + moments);
}

}  // namespace tanren::trainer
