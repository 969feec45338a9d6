// evaluate: held-out loss and perplexity, exact match on generated answers, and multiple choice by
// log-likelihood, each with confidence intervals, as lines and as JSON.
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/config/recipe_file.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/model_arguments.h"
#include "trainer/data/training_data.h"
#include "trainer/evaluation_questions.h"
#include "trainer/loop/confidence.h"
#include "trainer/loop/progress.h"
#include "trainer/rollout/scoring.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string recipe;
  ModelArguments model;
  std::vector<std::string> overrides;
  std::string output;
};

Json AsJson(const Interval& interval) { return {interval.low, interval.high}; }

// The held-out loss; null where the recipe holds nothing out.
absl::StatusOr<Json> HeldOut(const Recipe& recipe, const LoadedModel& model) {
  TANREN_ASSIGN_OR_RETURN(
      const std::unique_ptr<TrainingData> data,
      OpenTrainingData(recipe, *model.source.text.tokenizer, model.source.text.chat_template.get(),
                       /*world_size=*/1, /*rank=*/0));
  if (data->validation == nullptr) return Json(nullptr);
  std::vector<double> losses, weights;
  for (size_t step = 0; step < data->validation->step_count(); ++step) {
    for (const Batch& batch : data->validation->step(step).micro_batches) {
      for (double loss : DocumentLosses(*model.resident, batch)) losses.push_back(loss);
      for (double weight : DocumentWeights(batch)) weights.push_back(weight);
    }
  }
  double loss = 0, weight = 0;
  for (size_t i = 0; i < losses.size(); ++i) {
    loss += losses[i];
    weight += weights[i];
  }
  const Interval interval = RatioInterval(losses, weights, recipe.training().seed());
  const double mean = loss / weight;
  fmt::print("held-out loss  {:.4f}  [{:.4f}, {:.4f}]   perplexity {:.3f}   {} documents\n", mean,
             interval.low, interval.high, std::exp(mean), losses.size());
  return Json{{"loss", mean},
              {"loss_interval", AsJson(interval)},
              {"perplexity", std::exp(mean)},
              {"perplexity_interval", {std::exp(interval.low), std::exp(interval.high)}},
              {"targets", weight},
              {"documents", losses.size()}};
}

// Says on standard error how far it is, every few seconds.
std::vector<Generation> GenerateWithProgress(const Generator& generator,
                                             const std::vector<GenerationRequest>& requests) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  auto said = start;
  size_t done = 0;
  int64_t tokens = 0;
  Generator::Listener listener;
  listener.finished = [&](size_t, const Generation& generation) {
    ++done;
    tokens += static_cast<int64_t>(generation.ids.size());
    const auto now = Clock::now();
    if (done < requests.size() && now - said < std::chrono::seconds(5)) return;
    said = now;
    const double seconds = std::chrono::duration<double>(now - start).count();
    const double left =
        seconds / static_cast<double>(done) * static_cast<double>(requests.size() - done);
    fmt::print(stderr, "  {} of {} answers  {:.0f} tok/s  {} left\n", done, requests.size(),
               static_cast<double>(tokens) / seconds, FormatDuration(left));
  };
  return generator.Generate(requests, listener);
}

// Exact match; null where there are no questions.
absl::StatusOr<Json> ExactMatch(const Recipe& recipe, const ExactQuestions& exact,
                                const LoadedModel& model) {
  const std::vector<Question>& questions = exact.questions;
  if (questions.empty()) return Json(nullptr);
  const std::vector<Generation> generations =
      GenerateWithProgress(model.MakeGenerator(recipe.generation().batch_size()), exact.requests);
  int64_t right = 0;
  Json answers = Json::array();
  for (size_t i = 0; i < questions.size(); ++i) {
    const std::string found = AnswerIn(generations[i].text, recipe.evaluation().answer_after());
    const bool matches = found == AnswerIn(questions[i].answer, "");
    right += matches ? 1 : 0;
    answers.push_back({{"question", QuestionText(questions[i].request)},
                       {"answer", questions[i].answer},
                       {"text", generations[i].text},
                       {"right", matches}});
  }
  const auto count = static_cast<int64_t>(questions.size());
  const Interval interval = ShareInterval(right, count);
  const double share = static_cast<double>(right) / static_cast<double>(count);
  fmt::print("exact match    {} of {}: {:.1f} %  [{:.1f}, {:.1f}]\n", right, count, 100 * share,
             100 * interval.low, 100 * interval.high);
  return Json{{"right", right},
              {"questions", count},
              {"share", share},
              {"share_interval", AsJson(interval)},
              {"answers", std::move(answers)}};
}

// How many tokens of choices and their prompts go through the model at once.
constexpr int64_t kScoredTokens = 4096;

std::vector<double> ScoreWithProgress(const ResidentModel& model,
                                      const std::vector<Document>& documents) {
  auto said = std::chrono::steady_clock::now();
  return LogLikelihoods(model, documents, kScoredTokens, [&](size_t done) {
    const auto now = std::chrono::steady_clock::now();
    if (now - said < std::chrono::seconds(5)) return;
    said = now;
    fmt::print(stderr, "  {} of {} choices\n", done, documents.size());
  });
}

// Prints a share of right answers and adds it to `result`, as `name` and `name`_interval.
void AddShare(const std::string& name, int64_t right, int64_t count, const char* meaning,
              Json& result) {
  const Interval interval = ShareInterval(right, count);
  const double share = static_cast<double>(right) / static_cast<double>(count);
  fmt::print("{:<14} {} of {}: {:.1f} %  [{:.1f}, {:.1f}]   {}\n", name, right, count, 100 * share,
             100 * interval.low, 100 * interval.high, meaning);
  result[name] = share;
  result[name + "_interval"] = AsJson(interval);
}

// Multiple choice; null where there are no questions.
absl::StatusOr<Json> MultipleChoice(const ChoiceSet& set, const LoadedModel& model) {
  const std::vector<ChoiceQuestion>& questions = set.questions;
  if (questions.empty()) return Json(nullptr);
  const std::vector<double> scores = ScoreWithProgress(*model.resident, set.documents);
  int64_t right_by_sum = 0, right_by_mean = 0;
  Json answers = Json::array();
  std::span<const double> left = scores;
  for (const ChoiceQuestion& question : questions) {
    const std::span<const double> of_question = left.first(question.choices.size());
    left = left.subspan(question.choices.size());
    const ChosenIndices chosen = Choose(question.choices, of_question);
    right_by_sum += chosen.by_sum == question.right ? 1 : 0;
    right_by_mean += chosen.by_mean == question.right ? 1 : 0;
    answers.push_back({{"question", QuestionText(question.request)},
                       {"choices", question.choices},
                       {"answer", question.right},
                       {"logprobs", std::vector<double>(of_question.begin(), of_question.end())},
                       {"chosen", chosen.by_sum},
                       {"chosen_norm", chosen.by_mean}});
  }
  const auto count = static_cast<int64_t>(questions.size());
  Json result = {{"questions", count}};
  AddShare("acc", right_by_sum, count, "choices by their log-likelihood", result);
  AddShare("acc_norm", right_by_mean, count, "by log-likelihood a byte", result);
  result["answers"] = std::move(answers);
  return result;
}

absl::StatusOr<int> Evaluate(const Arguments& arguments) {
  TANREN_ASSIGN_OR_RETURN(const Recipe recipe, LoadRecipe(arguments.recipe, arguments.overrides));
  TANREN_ASSIGN_OR_RETURN(const LoadedModel model, LoadModel(arguments.model));
  // What is wrong with a file of questions is said before hours of work, not behind them.
  TANREN_ASSIGN_OR_RETURN(const ExactQuestions exact,
                          OpenExactQuestions(recipe, model.source.text));
  TANREN_ASSIGN_OR_RETURN(
      const ChoiceSet choices,
      OpenChoices(recipe, model.source.text, model.source.config.max_position_embeddings));
  Json result = {{"model", arguments.model.model}};
  TANREN_ASSIGN_OR_RETURN(result["held_out"], HeldOut(recipe, model));
  TANREN_ASSIGN_OR_RETURN(result["exact_match"], ExactMatch(recipe, exact, model));
  TANREN_ASSIGN_OR_RETURN(result["multiple_choice"], MultipleChoice(choices, model));
  if (result["held_out"].is_null() && result["exact_match"].is_null() &&
      result["multiple_choice"].is_null()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: there is nothing to evaluate: data.validation, data.validation_fraction, "
                    "evaluation.questions and evaluation.choices are all empty",
                    arguments.recipe));
  }
  if (arguments.output.empty()) return 0;
  const std::filesystem::path output(arguments.output);
  TANREN_RETURN_IF_ERROR(MakeDirectories(std::filesystem::absolute(output).parent_path()));
  TANREN_RETURN_IF_ERROR(WriteFileAtomically(
      output, result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"));
  return 0;
}

}  // namespace

void AddEvaluate(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "evaluate", "Held-out loss, exact match and multiple choice on the recipe's questions");
  command->add_option("recipe", arguments->recipe, "A YAML file: its data and questions")
      ->required();
  arguments->model.AddTo(*command);
  command->add_option("--set", arguments->overrides, "Overrides a setting of the recipe");
  command->add_option("--output", arguments->output, "A JSON file to write");
  command->callback([=, &action] { action = [=] { return Evaluate(*arguments); }; });
}

}  // namespace tanren::trainer
