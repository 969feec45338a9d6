#include "trainer/memory_check.h"

#include <algorithm>
#include <functional>

#include "fmt/format.h"
#include "trainer/recipe_parts.h"

namespace tanren::trainer {
namespace {

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

std::string Gigabytes(int64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

// How a rank's rows of a step are cut, as MakeStep does it.
struct Cut {
  int64_t micro_batches = 1;
  int64_t rows = 1;  // of the largest micro-batch
};

Cut CutOf(const TrainingRecipe& training, int world_size) {
  const int64_t rows = DivideUp(training.batch_rows(), world_size);
  Cut cut;
  cut.micro_batches = DivideUp(rows, training.micro_batch_rows());
  cut.rows = DivideUp(rows, cut.micro_batches);
  return cut;
}

// A recipe with one setting changed, and how a person writes that; for some, the number of ranks.
struct Change {
  std::string setting;
  Recipe recipe;
  RanksToPlan ranks;
};

std::vector<Change> ChangesOf(const Recipe& recipe, const RanksToPlan& ranks) {
  std::vector<Change> changes;
  const auto change = [&](std::string setting, const std::function<void(Change&)>& apply) {
    Change& one = changes.emplace_back(Change{std::move(setting), recipe, ranks});
    apply(one);
  };
  const Cut cut = CutOf(recipe.training(), ranks.world_size);
  if (cut.rows > 1) {
    change("training.micro_batch_rows: 1",
           [](Change& one) { one.recipe.mutable_training()->set_micro_batch_rows(1); });
  }
  if (cut.rows > 3) {
    const int64_t half = cut.rows / 2;
    change(fmt::format("training.micro_batch_rows: {}", half),
           [=](Change& one) { one.recipe.mutable_training()->set_micro_batch_rows(half); });
  }
  if (recipe.parallel().recompute() != ParallelRecipe::FULL) {
    change("parallel.recompute: full",
           [](Change& one) { one.recipe.mutable_parallel()->set_recompute(ParallelRecipe::FULL); });
  }
  if (recipe.parallel().zero_stage() < 3) {
    change("parallel.zero_stage: 3",
           [](Change& one) { one.recipe.mutable_parallel()->set_zero_stage(3); });
  }
  if (ranks.on_host > 1) {
    change(ranks.world_size == ranks.on_host
               ? fmt::format("{} ranks instead of {}", ranks.on_host / 2, ranks.world_size)
               : fmt::format("{} ranks on each host instead of {}, on more hosts",
                             ranks.on_host / 2, ranks.on_host),
           [](Change& one) {
             if (one.ranks.world_size == one.ranks.on_host) one.ranks.world_size /= 2;
             one.ranks.on_host /= 2;
           });
  } else {
    change(fmt::format("{} ranks, each on a host of its own", 2 * ranks.world_size),
           [](Change& one) { one.ranks.world_size *= 2; });
  }
  return changes;
}

int64_t TotalOfHost(const Recipe& recipe, const formats::ModelConfig& config, const Model& model,
                    at::ScalarType compute_type, const RanksToPlan& ranks) {
  return PlanMemory(recipe, config, model, compute_type, ranks.world_size).Total() * ranks.on_host;
}

std::string SavingsText(const std::vector<MemorySaving>& savings, int64_t missing) {
  std::string text;
  for (const MemorySaving& saving : savings) {
    text += fmt::format("\n  {:<48} {:>10} less{}", saving.setting, Gigabytes(saving.saved),
                        saving.saved >= missing ? ", which is enough" : "");
  }
  return text;
}

}  // namespace

int MomentsOf(const OptimizerRecipe& recipe) {
  if (recipe.kind() == OptimizerRecipe::ADAMW) return 2;
  return recipe.momentum() > 0 ? 1 : 0;
}

MemoryPlan PlanMemory(const Recipe& recipe, const formats::ModelConfig& config, const Model& model,
                      at::ScalarType compute_type, int world_size) {
  const Cut cut = CutOf(recipe.training(), world_size);
  MemoryPlanOptions options;
  options.engine = EngineOptionsOf(recipe, compute_type);
  options.world_size = world_size;
  options.tokens = cut.rows * recipe.data().sequence_length();
  options.micro_batches = cut.micro_batches;
  options.moments = MomentsOf(recipe.optimizer());
  if (!recipe.evaluation().samples().empty()) {
    options.sampled_sequences = recipe.generation().batch_size();
    options.sampled_tokens =
        std::min(config.max_position_embeddings,
                 recipe.data().sequence_length() + recipe.generation().max_new_tokens());
  }
  return PlanMemory(config, model, options);
}

std::vector<MemorySaving> SavingsOf(const Recipe& recipe, const formats::ModelConfig& config,
                                    const Model& model, at::ScalarType compute_type,
                                    const RanksToPlan& ranks) {
  const int64_t now = TotalOfHost(recipe, config, model, compute_type, ranks);
  std::vector<MemorySaving> savings;
  for (const Change& change : ChangesOf(recipe, ranks)) {
    const int64_t saved =
        now - TotalOfHost(change.recipe, config, model, compute_type, change.ranks);
    if (saved * 100 >= now) savings.push_back({change.setting, saved});
  }
  std::stable_sort(savings.begin(), savings.end(),
                   [](const auto& a, const auto& b) { return a.saved > b.saved; });
  return savings;
}

absl::Status CheckMemory(const Recipe& recipe, const formats::ModelConfig& config,
                         const Model& model, at::ScalarType compute_type, const RanksToPlan& ranks,
                         uint64_t available) {
  const int64_t needed = TotalOfHost(recipe, config, model, compute_type, ranks);
  if (static_cast<uint64_t>(needed) <= available) return absl::OkStatus();
  const int64_t missing = needed - static_cast<int64_t>(available);
  const std::vector<MemorySaving> savings = SavingsOf(recipe, config, model, compute_type, ranks);
  const std::string who = ranks.on_host == 1
                              ? std::string("this rank needs")
                              : fmt::format("the {} ranks of this host need", ranks.on_host);
  return absl::ResourceExhaustedError(
      fmt::format("{} {} of memory, but {} are available: {} too few. {}{}", who, Gigabytes(needed),
                  Gigabytes(static_cast<int64_t>(available)), Gigabytes(missing),
                  savings.empty() ? "No single setting lowers it; a smaller model would"
                                  : "What would lower it:",
                  SavingsText(savings, missing)));
}

absl::Status WithMemoryAdvice(const absl::Status& failure, const Recipe& recipe,
                              const formats::ModelConfig& config, const Model& model,
                              at::ScalarType compute_type, const RanksToPlan& ranks,
                              uint64_t left) {
  std::string text =
      fmt::format("{}; {} are left", std::string(failure.message()),
                  Gigabytes(static_cast<int64_t>(std::min<uint64_t>(left, INT64_MAX))));
  // It can come before the model is there.
  if (!model.units.empty()) {
    const auto savings = SavingsOf(recipe, config, model, compute_type, ranks);
    // How much is missing nobody knows, so none is called enough.
    if (!savings.empty()) text += ". What would lower it:" + SavingsText(savings, INT64_MAX);
  }
  return {failure.code(), text};
}

std::string RenderMemoryPlan(const MemoryPlan& plan, const Recipe& recipe, const Model& model,
                             const RanksToPlan& ranks) {
  const Cut cut = CutOf(recipe.training(), ranks.world_size);
  std::string text = fmt::format(
      "{} parameters, {} rank{}; micro-batches of {} × {} tokens, {} a step\n\n",
      ParameterCount(model), ranks.world_size, ranks.world_size == 1 ? "" : "s, each the same",
      cut.rows, recipe.data().sequence_length(), cut.micro_batches);
  for (const auto& [name, bytes] : plan.Kinds()) {
    text += fmt::format("  {:<20} {:>12}\n", name, Gigabytes(bytes));
  }
  text += fmt::format("  {:<20} {:>12}   at its largest: {}\n", "a rank", Gigabytes(plan.Total()),
                      plan.step.moment);
  if (ranks.on_host > 1) {
    text += fmt::format("  {:<20} {:>12}\n", fmt::format("{} on a host", ranks.on_host),
                        Gigabytes(plan.Total() * ranks.on_host));
  }
  const int64_t checkpoint = CheckpointBytes(model, MomentsOf(recipe.optimizer()));
  const CheckpointRecipe& kept = recipe.checkpoint();
  text += fmt::format("\n  {:<20} {:>12}   on disk", "a checkpoint", Gigabytes(checkpoint));
  if (kept.keep_last() > 0) {
    // The next one is written before the oldest goes.
    const int64_t most = kept.keep_last() + kept.keep_best() + 1;
    text += fmt::format("; at most {} at once: {}", most, Gigabytes(most * checkpoint));
  }
  return text + "\n";
}

}  // namespace tanren::trainer
