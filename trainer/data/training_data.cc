#include "trainer/data/training_data.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "trainer/data/step_source.h"

namespace tanren::trainer {
namespace {

absl::Status CheckRecipe(const Recipe& recipe) {
  const DataRecipe& data = recipe.data();
  if (data.sources().empty()) {
    return absl::InvalidArgumentError("data.sources names no file to train on");
  }
  if (!data.validation().empty() && data.validation_fraction() > 0) {
    return absl::InvalidArgumentError(
        "data.validation and data.validation_fraction are both given; one of them says what is "
        "held out");
  }
  const bool steps = recipe.training().steps() > 0;
  const bool epochs = recipe.training().epochs() > 0;
  if (steps != epochs) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("training.steps and training.epochs are {}; one of them says how long to train",
                  steps ? "both given" : "both 0"));
}

// Ranks may share a machine; its cores are divided as if all did.
int ThreadsOf(const Recipe& recipe, int world_size) {
  if (recipe.training().threads() > 0) return recipe.training().threads();
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / world_size);
}

std::vector<uint64_t> RowsHeldOut(const Corpus& corpus) {
  std::vector<uint64_t> rows;
  for (uint64_t row = 0; row < corpus.row_count(); ++row) {
    if (corpus.HeldOut(row)) rows.push_back(row);
  }
  return rows;
}

std::vector<uint64_t> AllRows(const Corpus& corpus) {
  std::vector<uint64_t> rows(corpus.row_count());
  for (uint64_t row = 0; row < rows.size(); ++row) rows[row] = row;
  return rows;
}

absl::Status OpenValidation(const Recipe& recipe, const DocumentRenderer& renderer,
                            const StepShape& shape, TrainingData* data) {
  const DataRecipe& settings = recipe.data();
  Corpus* corpus = data->corpus.get();
  std::vector<uint64_t> rows;
  if (!settings.validation().empty()) {
    CorpusOptions options = CorpusOptionsOf(recipe);
    options.validation_fraction = 0;
    TANREN_ASSIGN_OR_RETURN(data->validation_corpus,
                            Corpus::Open(settings.validation(), renderer, options));
    corpus = data->validation_corpus.get();
    rows = AllRows(*corpus);
  } else if (settings.validation_fraction() > 0) {
    rows = RowsHeldOut(*corpus);
  } else {
    return absl::OkStatus();
  }
  TANREN_ASSIGN_OR_RETURN(data->validation, ValidationSet::Make(corpus, std::move(rows),
                                                                recipe.evaluation().max_documents(),
                                                                recipe.training().seed(), shape));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DocumentRenderer> MakeRenderer(const DataRecipe& data,
                                              const text::Tokenizer& tokenizer,
                                              const text::ChatTemplate* chat_template) {
  RenderingOptions options{.loss_on = data.loss_on(), .append_eos = data.append_eos()};
  if (!data.chat_template_variables().empty()) {
    options.template_variables =
        nlohmann::ordered_json::parse(data.chat_template_variables(), nullptr, false);
    if (!options.template_variables.is_object()) {
      return absl::InvalidArgumentError(
          fmt::format("data.chat_template_variables is {:.100}, expected a JSON object: "
                      "{{\"enable_thinking\": false}}",
                      data.chat_template_variables()));
    }
  }
  return DocumentRenderer(tokenizer, chat_template, std::move(options));
}

CorpusOptions CorpusOptionsOf(const Recipe& recipe) {
  const DataRecipe& data = recipe.data();
  return {.sequence_length = data.sequence_length(),
          .truncation = data.truncation(),
          .bad_rows = data.bad_rows(),
          .seed = recipe.training().seed(),
          .validation_fraction = data.validation_fraction()};
}

StreamOptions StreamOptionsOf(const Recipe& recipe) {
  StreamOptions options{.weights = {},
                        .seed = recipe.training().seed(),
                        .shuffle = recipe.data().shuffle(),
                        .epochs = recipe.training().epochs()};
  for (const SourceRecipe& source : recipe.data().sources()) {
    options.weights.push_back(source.weight());
  }
  return options;
}

StepShape StepShapeOf(const Recipe& recipe, int world_size, int rank) {
  return {.world_size = world_size,
          .rank = rank,
          .batch_rows = recipe.training().batch_rows(),
          .micro_batch_rows = recipe.training().micro_batch_rows(),
          .sequence_length = recipe.data().sequence_length(),
          .packing = recipe.data().packing()};
}

absl::StatusOr<std::unique_ptr<TrainingData>> OpenTrainingData(
    const Recipe& recipe, const text::Tokenizer& tokenizer, const text::ChatTemplate* chat_template,
    int world_size, int rank) {
  TANREN_RETURN_IF_ERROR(CheckRecipe(recipe));
  const StepShape shape = StepShapeOf(recipe, world_size, rank);
  TANREN_RETURN_IF_ERROR(CheckShape(shape));
  TANREN_ASSIGN_OR_RETURN(const DocumentRenderer renderer,
                          MakeRenderer(recipe.data(), tokenizer, chat_template));
  auto data = std::make_unique<TrainingData>();
  TANREN_ASSIGN_OR_RETURN(data->corpus,
                          Corpus::Open(recipe.data().sources(), renderer, CorpusOptionsOf(recipe)));
  TANREN_RETURN_IF_ERROR(OpenValidation(recipe, renderer, shape, data.get()));
  TANREN_ASSIGN_OR_RETURN(DocumentStream stream,
                          DocumentStream::Open(data->corpus.get(), StreamOptionsOf(recipe)));
  data->steps = recipe.training().steps();
  if (recipe.training().epochs() > 0) {
    if (recipe.training().epochs() >= 1) {
      TANREN_RETURN_IF_ERROR(data->corpus->SummarizeAll(ThreadsOf(recipe, world_size)));
    }
    TANREN_ASSIGN_OR_RETURN(const StepTotals totals, CountSteps(shape, stream));
    if (totals.steps == 0) {
      return absl::InvalidArgumentError("data.sources: no row to train on gives a document");
    }
    data->steps = totals.steps;
  }
  data->source = std::make_unique<PrefetchingSource>(
      std::make_unique<StepSource>(shape, std::move(stream), data->corpus.get()));
  return data;
}

}  // namespace tanren::trainer
