// What a training step costs besides its kernels: the loop on a recipe's real data, first over
// units that have every parameter by name but one element in each, and compute next to nothing,
// then over the real ones. Both walk the same units, gather and reduce the same groups through the
// same communicator, update the same number of shards, and write the same metrics, events and
// progress.
//
//   benchmarks/framework_overhead RECIPE [--set KEY=VALUE …] [--steps N] [--bare-steps N]
//
// Alone or under mpirun. Prints medians of each part as a table in Markdown.
#include <ATen/ATen.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/config/recipe_file.h"
#include "trainer/data/training_data.h"
#include "trainer/loop/memory_use.h"
#include "trainer/loop/progress.h"
#include "trainer/loop/recording.h"
#include "trainer/loop/run_folder.h"
#include "trainer/loop/tensorboard_recording.h"
#include "trainer/loop/training_loop.h"
#include "trainer/objective/next_token.h"
#include "trainer/process_tuning.h"
#include "trainer/recipe_parts.h"
#include "trainer/threads.h"
#include "trainer/training_run.h"
#include "trainer/world_options.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// ---- The bare model --------------------------------------------------------------------------

parallel::ParameterSpec Bare(parallel::ParameterSpec spec) {
  spec.shape = {1};
  return spec;
}

// Adds each parameter to a hidden state of width 1: one operator with a graph for each, as a real
// unit has about one for each of its parameters.
class BareUnit final : public parallel::Unit {
 public:
  explicit BareUnit(const parallel::Unit& real) : name_(real.name()) {
    for (const parallel::ParameterSpec& spec : real.parameters()) parameters_.push_back(Bare(spec));
  }
  const std::string& name() const override { return name_; }
  const std::vector<parallel::ParameterSpec>& parameters() const override { return parameters_; }
  parallel::Activations Forward(std::span<const at::Tensor> parameters,
                                parallel::Activations in) const override {
    if (!in.hidden.defined()) {
      in.hidden = at::zeros({in.tokens_T.numel(), 1}, parameters[0].options());
    }
    for (const at::Tensor& parameter : parameters) in.hidden = in.hidden + parameter;
    return in;
  }

 private:
  std::string name_;
  std::vector<parallel::ParameterSpec> parameters_;
};

Model BareModel(const Model& real) {
  Model bare;
  for (const auto& unit : real.units) bare.units.push_back(std::make_shared<BareUnit>(*unit));
  bare.head = Bare(real.head);
  return bare;
}

class NoLoss final : public Objective {
 public:
  parallel::HeadResult LossAndDerivative(const Batch&, const HeadInput& head,
                                         double) const override {
    return {at::zeros({}, at::kDouble), at::ones_like(head.hidden_TD)};
  }
};

// ---- The clock -------------------------------------------------------------------------------

enum Part { kData, kWalk, kUpdate, kRecords, kParts };
constexpr const char* kPartNames[kParts] = {
    "data: rows, tokens, packing", "walk: units, gathers, reductions, agreement",
    "update: norm, clipping, optimizer", "records: metrics, events, TensorBoard, progress"};

// What each step spent on each part, in milliseconds.
class StepClock {
 public:
  void Begin() {
    step_ = &steps_.emplace_back(kParts, 0.0);
    mark_ = Clock::now();
  }
  void End(Part part) {
    (*step_)[part] = MillisecondsSince(mark_);
    mark_ = Clock::now();
  }
  // Without the first step, which finds everything cold.
  double Median(Part part) const {
    return MedianOf([part](const std::vector<double>& step) { return step[part]; });
  }
  double MedianOfWhole() const {
    return MedianOf([](const std::vector<double>& step) {
      double sum = 0;
      for (double milliseconds : step) sum += milliseconds;
      return sum;
    });
  }

 private:
  template <typename Figure>
  double MedianOf(const Figure& figure) const {
    std::vector<double> values;
    for (size_t i = 1; i < steps_.size(); ++i) values.push_back(figure(steps_[i]));
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
  }

  std::vector<std::vector<double>> steps_;
  std::vector<double>* step_ = nullptr;
  Clock::time_point mark_;
};

class TimedSource final : public BatchSource {
 public:
  TimedSource(BatchSource& source, StepClock& clock) : source_(source), clock_(clock) {}
  absl::StatusOr<std::optional<StepBatches>> Next() override {
    clock_.Begin();
    auto batches = source_.Next();
    clock_.End(kData);
    return batches;
  }
  std::string cursor() const override { return source_.cursor(); }
  absl::Status Restore(std::string_view cursor) override { return source_.Restore(cursor); }

 private:
  BatchSource& source_;
  StepClock& clock_;
};

// Stands before the callbacks that are timed.
class BeforeRecords final : public Callback {
 public:
  explicit BeforeRecords(StepClock& clock) : clock_(clock) {}
  void BeforeUpdate() override { clock_.End(kWalk); }
  void StepFinished(StepReport&) override { clock_.End(kUpdate); }

 private:
  StepClock& clock_;
};

class AfterRecords final : public Callback {
 public:
  explicit AfterRecords(StepClock& clock) : clock_(clock) {}
  void StepFinished(StepReport&) override { clock_.End(kRecords); }

 private:
  StepClock& clock_;
};

// ---- The two trainings -----------------------------------------------------------------------

struct Setting {
  const Recipe& recipe;
  comm::World& world;
  const PretrainedModel& model;
  fs::path folder;
};

// Runs `steps` steps over `model` and returns what they took.
StepClock Run(const Setting& setting, const Model& model, const Objective& objective,
              const std::string& name, int64_t steps) {
  comm::Communicator& ranks = setting.world.communicator();
  const at::ScalarType type =
      ComputeTypeOf(setting.recipe.training().precision(), setting.world.device());
  parallel::Engine engine(model.units, {model.head}, ranks, EngineOptionsOf(setting.recipe, type));
  engine.Initialize(setting.recipe.training().seed());
  const auto optimizer = MakeOptimizer(setting.recipe.optimizer(), engine.TrainableShards());
  const auto data = ValueOrThrow(OpenTrainingData(setting.recipe, *setting.model.text.tokenizer,
                                                  setting.model.text.chat_template.get(),
                                                  ranks.size(), ranks.rank()));
  StepClock clock;
  TimedSource source(*data->source, clock);

  const RunFolder folder(setting.folder / name);
  std::unique_ptr<EventLog> events;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> nowhere(std::fopen("/dev/null", "w"),
                                                                &std::fclose);
  std::vector<std::unique_ptr<Callback>> callbacks;
  callbacks.push_back(std::make_unique<BeforeRecords>(clock));
  if (ranks.rank() == 0) {
    fs::create_directories(folder.root());
    events = ValueOrThrow(EventLog::Open(folder.root()));
    callbacks.push_back(std::make_unique<Recording>(
        ValueOrThrow(MetricsFile::Open(folder.metrics())), *events, RunStarted(), 1));
    callbacks.push_back(std::make_unique<TensorBoardRecording>(
        ValueOrThrow(TensorBoardFile::Create(folder.tensorboard())), 1));
    callbacks.push_back(std::make_unique<Progress>(ProgressScale{steps, 1, 1}, nowhere.get()));
  }
  callbacks.push_back(std::make_unique<AfterRecords>(clock));
  TrainingLoop loop(
      {ranks, engine, *optimizer, nullptr, source, objective},
      {steps, ScheduleOf(setting.recipe.optimizer(), steps), UpdateOptionsOf(setting.recipe)},
      std::move(callbacks), [&] { return setting.world.SaveRequested(); });
  loop.Run(0);
  return clock;
}

void Print(const Setting& setting, const StepClock& bare, const StepClock& real) {
  const double whole = real.MedianOfWhole();
  fmt::print("{} rank{}, {} rows of {} tokens a step\n\n", setting.world.communicator().size(),
             setting.world.communicator().size() == 1 ? "" : "s",
             setting.recipe.training().batch_rows(), setting.recipe.data().sequence_length());
  fmt::print("| part | without kernels, ms | with, ms | framework's share of the step |\n");
  fmt::print("|---|---|---|---|\n");
  for (int part = 0; part < kParts; ++part) {
    const double milliseconds = bare.Median(static_cast<Part>(part));
    fmt::print("| {} | {:.3f} | {:.3f} | {:.3f} % |\n", kPartNames[part], milliseconds,
               real.Median(static_cast<Part>(part)), 100 * milliseconds / whole);
  }
  fmt::print("| the step | {:.3f} | {:.1f} | {:.2f} % |\n", bare.MedianOfWhole(), whole,
             100 * bare.MedianOfWhole() / whole);
  constexpr int kTimes = 1000;
  const auto begin = Clock::now();
  for (int i = 0; i < kTimes; ++i) MemoryUseNow(at::kCPU);
  fmt::print("\nAsking for the memory in use, a part of the agreement: {:.3f} ms\n",
             MillisecondsSince(begin) / kTimes);
}

struct Arguments {
  std::string recipe;
  std::vector<std::string> overrides;
  int64_t steps = 6;
  int64_t bare_steps = 40;
};

absl::StatusOr<int> Measure(const Arguments& arguments) {
  TrainingRunOptions options;
  TANREN_ASSIGN_OR_RETURN(options.recipe, LoadRecipe(arguments.recipe, arguments.overrides));
  // mpirun's ranks have one parent, and flight records need one folder for all of them.
  options.run = fs::temp_directory_path() / fmt::format("tanren_overhead.{}", getppid());
  UseThreads(options.recipe.training().threads());
  const int code =
      comm::RunRank(WorldOptionsOf(options), [&](comm::World& world) -> absl::StatusOr<int> {
        TANREN_ASSIGN_OR_RETURN(const PretrainedModel model,
                                OpenPretrained(ModelPathsOf(options.recipe.model())));
        const Setting setting{options.recipe, world, model, options.run};
        const StepClock bare =
            Run(setting, BareModel(model.model), NoLoss(), "bare", arguments.bare_steps);
        const StepClock real = Run(setting, model.model, NextToken(), "real", arguments.steps);
        if (world.communicator().rank() == 0) Print(setting, bare, real);
        return 0;
      });
  std::error_code ignored;
  fs::remove_all(options.run, ignored);
  return code;
}

}  // namespace
}  // namespace tanren::trainer

int main(int argc, char** argv) {
  tanren::trainer::TuneProcessOnce(argv);
  tanren::trainer::Arguments arguments;
  CLI::App program("What a training step costs besides its kernels.");
  program.add_option("recipe", arguments.recipe, "A YAML file")->required();
  program.add_option("--set", arguments.overrides, "Overrides a setting of the recipe");
  program.add_option("--steps", arguments.steps, "With kernels")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  program.add_option("--bare-steps", arguments.bare_steps, "Without kernels")
      ->check(CLI::Range(2, 100'000))
      ->capture_default_str();
  CLI11_PARSE(program, argc, argv);
  const absl::StatusOr<int> code = tanren::trainer::Measure(arguments);
  if (code.ok()) return *code;
  fmt::print(stderr, "framework_overhead: {}\n", std::string(code.status().message()));
  return 1;
}
