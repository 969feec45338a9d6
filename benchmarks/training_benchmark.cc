// Training steps of models of known shapes with random weights, on this process's GPU or CPU:
// speed, the share of the device's arithmetic that is used (MFU), and memory, as a row of a
// Markdown table.
//
//   training_benchmark --gpu --shape 135m --dtype bf16 --rows 16 --length 2048 --steps 10
//
// With --profile, what the GPU did in three more steps follows, kernel by kernel.
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "benchmarks/device_profile.h"
#include "fmt/format.h"
#include "parallel/engine/engine.h"
#include "parallel/optimizer/adamw.h"
#include "parallel/optimizer/update.h"
#include "runtime/base/error.h"
#include "runtime/comm/world.h"
#include "runtime/formats/model_config.h"
#include "trainer/data/batch.h"
#include "trainer/loop/machine_limit.h"
#include "trainer/loop/memory_use.h"
#include "trainer/loop/training_loop.h"
#include "trainer/model/model.h"
#include "trainer/objective/next_token.h"

namespace tanren::trainer {
namespace {

formats::ModelConfig Shape(int64_t width, int64_t inner, int64_t layers, int64_t heads,
                           int64_t key_heads, int64_t head_size, int64_t vocabulary) {
  formats::ModelConfig config;
  config.hidden_size = width;
  config.intermediate_size = inner;
  config.num_hidden_layers = layers;
  config.num_attention_heads = heads;
  config.num_key_value_heads = key_heads;
  config.head_dim = head_size;
  config.vocab_size = vocabulary;
  config.max_position_embeddings = 1 << 20;
  config.tie_word_embeddings = true;
  return config;
}

// The published shapes of SmolLM2-135M, Qwen2.5-0.5B and Qwen2.5-1.5B (without its biases), and one
// for trying this program out.
const std::map<std::string, formats::ModelConfig>& Shapes() {
  static const std::map<std::string, formats::ModelConfig> shapes = {
      {"tiny", Shape(64, 128, 2, 4, 2, 16, 512)},
      {"135m", Shape(576, 1536, 30, 9, 3, 64, 49152)},
      {"0.5b", Shape(896, 4864, 24, 14, 2, 64, 151936)},
      {"1.5b", Shape(1536, 8960, 28, 12, 2, 128, 151936)}};
  return shapes;
}

const std::map<std::string, at::ScalarType>& Types() {
  static const std::map<std::string, at::ScalarType> types = {
      {"fp32", at::kFloat}, {"bf16", at::kBFloat16}, {"fp16", at::kHalf}};
  return types;
}

template <typename Value>
std::vector<std::string> KeysOf(const std::map<std::string, Value>& values) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values) keys.push_back(key);
  return keys;
}

struct Arguments {
  std::string shape = "tiny";
  std::string dtype = "fp32";
  int64_t rows = 2;
  int64_t length = 128;
  int steps = 5;
  bool recompute = false;
  bool header = false;
  bool gpu = false;
  bool profile = false;
};

// `rows` documents of `length` tokens, all of them targets.
Batch MakeRandomBatch(const Arguments& arguments, int64_t vocabulary) {
  std::vector<Document> documents(static_cast<size_t>(arguments.rows));
  std::vector<const Document*> pointers;
  uint64_t state = 1;
  for (Document& document : documents) {
    for (int64_t i = 0; i < arguments.length; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      document.tokens.push_back(
          static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(vocabulary)));
    }
    document.weights.assign(document.tokens.size(), 1.0f);
    pointers.push_back(&document);
  }
  return MakeBatch(pointers);
}

void Run(const Arguments& arguments, comm::World& world) {
  const formats::ModelConfig& config = Shapes().at(arguments.shape);
  const Model model = ValueOrThrow(BuildModel(config));
  parallel::EngineOptions options;
  options.compute_dtype = Types().at(arguments.dtype);
  if (arguments.recompute) options.recompute = parallel::Recompute::kFull;
  const double limit = MeasureProductRate(options.compute_dtype, world.device());
  parallel::Engine engine(model.units, {model.head}, world.communicator(), options);
  engine.Initialize(1);
  parallel::AdamW optimizer(engine.TrainableShards(), {0.9, 0.95, 1e-8, 0.1});
  const Batch batch = MakeRandomBatch(arguments, config.vocab_size);
  const NextToken objective;
  const double derivative_scale = 1 / TargetWeight(batch);

  const auto one_step = [&] {
    engine.BeginStep();
    engine.ForwardBackward(InputOf(batch, world.device()),
                           [&](const at::Tensor& hidden_TD, std::span<const at::Tensor> parameters,
                               std::span<at::Tensor> gradients) {
                             return objective.LossAndDerivative(
                                 batch, {hidden_TD, parameters[0], gradients[0]}, derivative_scale);
                           });
    engine.FinishStep();
    // It waits for the gradients, and so for the update before.
    parallel::UpdateParameters(optimizer, world.communicator(), 1e-4, {.max_norm = 1.0}, nullptr);
  };
  std::vector<double> seconds;
  constexpr int kWarmUps = 3;
  for (int step = 0; step < kWarmUps + arguments.steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    one_step();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    if (step >= kWarmUps) seconds.push_back(spent.count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const double tokens = static_cast<double>(batch.token_count());
  const double flops =
      FlopsPerToken(config, model, static_cast<double>(arguments.length) / 2) * tokens / median;
  const MemoryUse use = MemoryUseNow(world.device());
  const double peak =
      static_cast<double>(world.device().is_cpu() ? use.peak_resident : use.peak_device);
  if (arguments.header) {
    fmt::print(
        "| shape | parameters | dtype | batch | recompute | step | tokens/s | TFLOP/s | of "
        "measured product rate | peak memory |\n|---|---|---|---|---|---|---|---|---|---|\n");
  }
  fmt::print(
      "| {} | {:.0f} M | {} | {} × {} | {} | {:.1f} ms | {:.0f} | {:.2f} | {:.1f} % of {:.1f} | "
      "{:.2f} GB |\n",
      arguments.shape, static_cast<double>(ParameterCount(model)) / 1e6, arguments.dtype,
      arguments.rows, arguments.length, arguments.recompute ? "full" : "none", 1e3 * median,
      tokens / median, flops / 1e12, 100 * flops / limit, limit / 1e12, peak / 1e9);
  if (arguments.profile) fmt::print("\n{}\n", ProfileOnDevice(one_step, 3));
}

}  // namespace
}  // namespace tanren::trainer

int main(int argc, char** argv) {
  using tanren::trainer::KeysOf;
  using tanren::trainer::Shapes;
  using tanren::trainer::Types;
  tanren::trainer::Arguments arguments;
  CLI::App app("Training steps of models with random weights, as a row of a Markdown table");
  app.add_option("--shape", arguments.shape)->check(CLI::IsMember(KeysOf(Shapes())));
  app.add_option("--dtype", arguments.dtype)->check(CLI::IsMember(KeysOf(Types())));
  app.add_option("--rows", arguments.rows)->check(CLI::PositiveNumber);
  app.add_option("--length", arguments.length)->check(CLI::Range(2, 1 << 20));
  app.add_option("--steps", arguments.steps)->check(CLI::PositiveNumber);
  app.add_flag("--recompute", arguments.recompute);
  app.add_flag("--header", arguments.header, "The table's head before the row");
  app.add_flag("--gpu", arguments.gpu, "An error where there is none, instead of the CPU");
  app.add_flag("--profile", arguments.profile, "Where the GPU's time goes, after the row")
      ->needs(app.get_option("--gpu"));
  CLI11_PARSE(app, argc, argv);
  tanren::comm::WorldOptions options;
  if (arguments.gpu) options.backend = tanren::comm::Backend::kNccl;
  return tanren::comm::RunRank(options, [&](tanren::comm::World& world) -> absl::StatusOr<int> {
    tanren::trainer::Run(arguments, world);
    return 0;
  });
}
