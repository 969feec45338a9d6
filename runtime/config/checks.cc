#include "runtime/config/checks.h"

#include <map>
#include <string>

#include "fmt/format.h"
#include "runtime/config/recipe_text.h"
#include "runtime/config/yaml_node.h"

namespace tanren::config {
namespace {

class Checker {
 public:
  Checker(const Recipe& recipe, const Places& places, Problems& problems)
      : recipe_(recipe), places_(places), problems_(problems) {
    for (auto& [path, text] : RecipeFields(recipe)) texts_[path] = text;
  }

  void Model();
  void Data();
  void Training();
  void Optimizer();
  void Schedule();
  void Rest();

 private:
  // Whether the value says what its writer meant.
  bool Trusted(const std::string& key) const {
    if (problems_.Concerns(key)) return false;
    if (places_.contains(key)) return true;
    // Not given: then an unknown key of the sections around it may be the misspelt one.
    std::string section = key;
    while (!section.empty()) {
      const size_t end = section.rfind('.');
      section = end == std::string::npos ? "" : section.substr(0, end);
      if (problems_.Concerns(section)) return false;
    }
    return true;
  }
  bool Given(const std::string& key) const { return places_.contains(key); }
  // The place of the key, or of the nearest section around it that is given.
  const Place& PlaceOf(const std::string& key) const {
    std::string path = key;
    while (!places_.contains(path)) {
      const size_t end = path.rfind('.');
      path = end == std::string::npos ? "" : path.substr(0, end);
    }
    return places_.at(path);
  }
  std::string Shown(const std::string& key) const {
    const auto text = texts_.find(key);
    return text == texts_.end() ? key : fmt::format("{}: {}", key, text->second);
  }

  // `a` and `b` can't both be as they are.
  void Contradict(const std::string& a, const std::string& b, const std::string& advice) {
    if (!Trusted(a) || !Trusted(b)) return;
    const bool a_first = Given(a) || !Given(b);
    const std::string& here = a_first ? a : b;
    const std::string& there = a_first ? b : a;
    problems_.Add(PlaceOf(here),
                  fmt::format("{} contradicts {} ({}): {}", Shown(here), Shown(there),
                              Given(there) ? PlaceOf(there).text : "the default", advice),
                  here);
  }
  void Missing(const std::string& key, const std::string& message) {
    if (Trusted(key)) problems_.Add(PlaceOf(key), message, key);
  }
  // For settings that are read only where `b` has another value.
  void HasNoEffect(bool differs_from_default, const std::string& a, const std::string& b,
                   const std::string& advice) {
    if (differs_from_default) Contradict(a, b, advice);
  }

  const Recipe& recipe_;
  const Places& places_;
  Problems& problems_;
  std::map<std::string, std::string> texts_;
};

void Checker::Model() {
  const ModelRecipe& model = recipe_.model();
  if (!model.path().empty() && !model.config().empty()) {
    Contradict("model.path", "model.config",
               "give the path of a model to tune, or a config to train from scratch");
  }
  if (model.path().empty() && model.config().empty() && Trusted("model.config")) {
    Missing("model.path",
            "model.path is missing, expected the path of a model to tune (or model.config, to "
            "train from scratch)");
  }
  if (model.path().empty() && !model.config().empty() && model.tokenizer().empty()) {
    Contradict("model.config", "model.tokenizer",
               "a model from scratch needs model.tokenizer, a tokenizer.json or a folder with one");
  }
}

void Checker::Data() {
  const DataRecipe& data = recipe_.data();
  if (data.sources().empty()) {
    Missing("data.sources", "data.sources is missing, expected a list with at least one path");
  }
  if (!data.validation().empty() && data.validation_fraction() > 0) {
    Contradict("data.validation", "data.validation_fraction",
               "held-out data are files of their own, or a share of the sources");
  }
  int weighted = 0;
  for (const SourceRecipe& source : data.sources()) weighted += source.weight() > 0 ? 1 : 0;
  for (int i = 0; i < data.sources_size() && weighted > 0; ++i) {
    const std::string key = fmt::format("data.sources[{}].weight", i);
    if (data.sources(i).weight() > 0 || !Trusted(key)) continue;
    problems_.Add(PlaceOf(key),
                  fmt::format("{} would never come, since other sources have a weight; expected a "
                              "weight for all sources or for none",
                              Shown(key)),
                  key);
  }
  const std::string variables = "data.chat_template_variables";
  if (!data.chat_template_variables().empty()) {
    const absl::StatusOr<YamlNode> parsed =
        ParseYamlValue(data.chat_template_variables(), PlaceOf(variables));
    if (!parsed.ok() || parsed->kind != YamlNode::Kind::kMap) {
      problems_.Add(
          PlaceOf(variables),
          fmt::format("{}: expected a JSON object, as in '{{\"enable_thinking\": false}}'",
                      Shown(variables)),
          variables);
    }
  }
}

void Checker::Training() {
  const TrainingRecipe& training = recipe_.training();
  if (training.steps() > 0 && training.epochs() > 0) {
    Contradict("training.steps", "training.epochs", "give one of them");
  }
  if (training.steps() == 0 && training.epochs() == 0 && Trusted("training.epochs")) {
    Missing("training.steps",
            "neither training.steps nor training.epochs is above 0, expected one of them");
  }
  if (training.micro_batch_rows() > training.batch_rows()) {
    Contradict("training.micro_batch_rows", "training.batch_rows",
               "a micro-batch is a part of the batch");
  }
  HasNoEffect(recipe_.optimizer().initial_loss_scale() !=
                      OptimizerRecipe::default_instance().initial_loss_scale() &&
                  training.precision() != TrainingRecipe::FP16,
              "optimizer.initial_loss_scale", "training.precision", "only fp16 scales the loss");
}

void Checker::Optimizer() {
  const OptimizerRecipe& optimizer = recipe_.optimizer();
  const OptimizerRecipe& defaults = OptimizerRecipe::default_instance();
  if (optimizer.kind() == OptimizerRecipe::ADAMW) {
    HasNoEffect(optimizer.momentum() > 0, "optimizer.momentum", "optimizer.kind",
                "adamw has beta1 and beta2 instead; momentum is of sgd");
    HasNoEffect(optimizer.nesterov(), "optimizer.nesterov", "optimizer.kind", "nesterov is of sgd");
  } else {
    const std::string advice = "only adamw has it; sgd has momentum";
    HasNoEffect(optimizer.beta1() != defaults.beta1(), "optimizer.beta1", "optimizer.kind", advice);
    HasNoEffect(optimizer.beta2() != defaults.beta2(), "optimizer.beta2", "optimizer.kind", advice);
    HasNoEffect(optimizer.epsilon() != defaults.epsilon(), "optimizer.epsilon", "optimizer.kind",
                advice);
    if (optimizer.nesterov() && optimizer.momentum() == 0) {
      Contradict("optimizer.nesterov", "optimizer.momentum", "nesterov needs a momentum above 0");
    }
  }
}

void Checker::Schedule() {
  const OptimizerRecipe& optimizer = recipe_.optimizer();
  const OptimizerRecipe& defaults = OptimizerRecipe::default_instance();
  const bool wsd = optimizer.schedule() == OptimizerRecipe::WSD;
  const auto steps = recipe_.training().steps();
  if (optimizer.warmup_steps() > 0 && optimizer.warmup_ratio() > 0) {
    Contradict("optimizer.warmup_steps", "optimizer.warmup_ratio", "give one of them");
  } else if (steps > 0 && optimizer.warmup_steps() >= steps) {
    Contradict("optimizer.warmup_steps", "training.steps",
               "the warm-up has to end before the training does");
  } else if (wsd && steps > 0 &&
             static_cast<double>(optimizer.warmup_steps()) >
                 static_cast<double>(steps) * (1 - optimizer.decay_ratio())) {
    Contradict("optimizer.warmup_steps", "optimizer.decay_ratio",
               "the warm-up has to end before the decay begins");
  }
  if (optimizer.warmup_ratio() >= 1) {
    Missing("optimizer.warmup_ratio",
            fmt::format("{}, expected below 1: the warm-up has to end before the training does",
                        Shown("optimizer.warmup_ratio")));
  } else if (wsd && optimizer.warmup_ratio() + optimizer.decay_ratio() > 1) {
    Contradict("optimizer.warmup_ratio", "optimizer.decay_ratio", "together they may be 1 at most");
  }
  HasNoEffect(!wsd && optimizer.decay_ratio() != defaults.decay_ratio(), "optimizer.decay_ratio",
              "optimizer.schedule", "only wsd has a decay of its own");
  HasNoEffect(optimizer.schedule() == OptimizerRecipe::CONSTANT && optimizer.final_ratio() != 0,
              "optimizer.final_ratio", "optimizer.schedule", "a constant rate doesn't fall");
}

void Checker::Rest() {
  if (const std::string& name = recipe_.name();
      name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    Missing("name", fmt::format("{}, expected the name of a folder, without a /", Shown("name")));
  }
  const bool held_out =
      !recipe_.data().validation().empty() || recipe_.data().validation_fraction() > 0;
  // data.validation stands for both: it is what most recipes lack.
  const bool sure = Trusted("data.validation") && Trusted("data.validation_fraction");
  const EvaluationRecipe& evaluation = recipe_.evaluation();
  const std::string advice = "give data.validation or data.validation_fraction";
  HasNoEffect(sure && evaluation.every_steps() > 0 && !held_out, "evaluation.every_steps",
              "data.validation", advice);
  HasNoEffect(sure && evaluation.max_documents() > 0 && !held_out, "evaluation.max_documents",
              "data.validation", advice);
  const int keep_best = recipe_.checkpoint().keep_best();
  HasNoEffect(keep_best > 0 && evaluation.every_steps() == 0, "checkpoint.keep_best",
              "evaluation.every_steps", "the best are found by evaluating every so many steps");
  HasNoEffect(keep_best > 0 && recipe_.checkpoint().every_steps() == 0, "checkpoint.keep_best",
              "checkpoint.every_steps", "there is only one checkpoint, at the end");
  HasNoEffect(evaluation.max_questions() > 0 && evaluation.questions().empty(),
              "evaluation.max_questions", "evaluation.questions", "there are no questions");
  HasNoEffect(!evaluation.answer_after().empty() && evaluation.questions().empty(),
              "evaluation.answer_after", "evaluation.questions", "there are no questions");
  HasNoEffect(evaluation.max_choices() > 0 && evaluation.choices().empty(),
              "evaluation.max_choices", "evaluation.choices", "there are no questions");
  const GenerationRecipe& generation = recipe_.generation();
  const std::string greedy = "at temperature 0 always the likeliest token is taken";
  HasNoEffect(generation.temperature() == 0 && generation.top_k() != 0, "generation.top_k",
              "generation.temperature", greedy);
  HasNoEffect(generation.temperature() == 0 && generation.top_p() != 1, "generation.top_p",
              "generation.temperature", greedy);
  HasNoEffect(generation.temperature() == 0 && generation.min_p() != 0, "generation.min_p",
              "generation.temperature", greedy);
  HasNoEffect(
      recipe_.parallel().progress_thread() && recipe_.parallel().backend() == ParallelRecipe::NCCL,
      "parallel.progress_thread", "parallel.backend", "it is for MPI; nccl progresses by itself");
}

}  // namespace

void CheckAgreement(const Recipe& recipe, const Places& places, Problems& problems) {
  Checker checker(recipe, places, problems);
  checker.Model();
  checker.Data();
  checker.Training();
  checker.Optimizer();
  checker.Schedule();
  checker.Rest();
}

}  // namespace tanren::config
