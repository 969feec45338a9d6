#include "trainer/data/show_documents.h"

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/terminal.h"
#include "trainer/data/document_stream.h"
#include "trainer/data/step.h"
#include "trainer/data/training_data.h"

namespace tanren::trainer {
namespace {

struct Marks {
  std::string_view begin;
  std::string_view end;
};

Marks TargetMarks(bool color) { return color ? Marks{"\x1b[32m", "\x1b[0m"} : Marks{"⟦", "⟧"}; }

// Neighbours that are alike are decoded together: a character may take several tokens.
std::string Marked(const Document& document, const text::Tokenizer& tokenizer, const Marks& marks) {
  const auto trained = [&](size_t i) { return i > 0 && document.weights[i] > 0; };
  std::string result;
  for (size_t begin = 0, end; begin < document.tokens.size(); begin = end) {
    end = begin + 1;
    while (end < document.tokens.size() && trained(end) == trained(begin)) ++end;
    const std::string text = ForTerminal(
        tokenizer.Decode(std::span(document.tokens).subspan(begin, end - begin), false));
    result += trained(begin) ? fmt::format("{}{}{}", marks.begin, text, marks.end) : text;
  }
  return result;
}

// Where document `index` of a plan stands: its row, and its first token's place in it.
std::pair<size_t, int64_t> PlaceOf(const StepPlan& plan, size_t index) {
  for (size_t row = 0; row < plan.rows.size(); ++row) {
    int64_t offset = 0;
    for (const size_t i : plan.rows[row]) {
      if (i == index) return {row, offset};
      offset += plan.documents[i].summary.tokens;
    }
  }
  throw Error(absl::InternalError(fmt::format("document {} is in no row", index)));
}

double Percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

int64_t HeldOut(const Corpus& corpus) {
  int64_t count = 0;
  for (uint64_t row = 0; row < corpus.row_count(); ++row) count += corpus.HeldOut(row);
  return count;
}

std::string Totals(const Corpus& corpus, const StepTotals& steps, const StepShape& shape) {
  const RowCounts counts = corpus.counts();
  const double room = static_cast<double>(steps.steps * shape.batch_rows * shape.sequence_length);
  std::string text = fmt::format(
      "documents   {}\n"
      "tokens      {}, of which {:.1f} % are trained on\n"
      "truncated   {}\n"
      "dropped     {} too long, {} without a target when cut\n"
      "bad rows    {}\n"
      "held out    {} rows\n"
      "one epoch   {} steps of {} rows of {} tokens, {:.1f} % full\n",
      counts.documents, counts.tokens,
      Percent(counts.target_weight, static_cast<double>(counts.tokens)), counts.truncated,
      counts.dropped_too_long, counts.dropped_no_target, counts.bad_rows, HeldOut(corpus),
      steps.steps, shape.batch_rows, shape.sequence_length,
      Percent(static_cast<double>(steps.tokens), room));
  for (const std::string& row : counts.first_bad_rows) text += "  " + ForTerminal(row) + "\n";
  const auto more = counts.bad_rows - static_cast<int64_t>(counts.first_bad_rows.size());
  if (more > 0) text += fmt::format("  and {} more\n", more);
  return text;
}

absl::StatusOr<std::string> First(DocumentStream stream, const StepShape& shape, Corpus* corpus,
                                  const text::Tokenizer& tokenizer, const ShowOptions& options) {
  std::string text;
  int64_t left = options.documents;
  for (int64_t step = 1; left > 0; ++step) {
    TANREN_ASSIGN_OR_RETURN(const std::optional<StepPlan> plan, PlanStep(shape, &stream, nullptr));
    if (!plan) break;
    for (size_t i = 0; i < plan->documents.size() && left > 0; ++i, --left) {
      const StreamDocument& planned = plan->documents[i];
      TANREN_ASSIGN_OR_RETURN(const std::optional<Document> document, corpus->Read(planned.row));
      TANREN_CHECK(document.has_value());
      const auto [row, offset] = PlaceOf(*plan, i);
      text += fmt::format("── {}  {} tokens, {} targets; step {}, row {}, offset {}\n{}\n\n",
                          corpus->Where(planned.row), planned.summary.tokens,
                          planned.summary.target_weight, step, row, offset,
                          Marked(*document, tokenizer, TargetMarks(options.color)));
    }
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> ShowDocuments(const Recipe& recipe, const text::Tokenizer& tokenizer,
                                          const text::ChatTemplate* chat_template,
                                          const ShowOptions& options) {
  if (recipe.data().sources().empty()) {
    return absl::InvalidArgumentError("data.sources names no file to train on");
  }
  TANREN_ASSIGN_OR_RETURN(DocumentRenderer renderer,
                          MakeRenderer(recipe.data(), tokenizer, chat_template));
  TANREN_ASSIGN_OR_RETURN(
      const std::unique_ptr<Corpus> corpus,
      Corpus::Open(recipe.data().sources(), std::move(renderer), CorpusOptionsOf(recipe)));
  const StepShape shape = StepShapeOf(recipe, 1, 0);
  StreamOptions one_epoch = StreamOptionsOf(recipe);
  one_epoch.epochs = 1;
  TANREN_ASSIGN_OR_RETURN(const DocumentStream stream,
                          DocumentStream::Open(corpus.get(), one_epoch));
  TANREN_RETURN_IF_ERROR(corpus->SummarizeAll(options.threads));
  TANREN_ASSIGN_OR_RETURN(std::string text, First(stream, shape, corpus.get(), tokenizer, options));
  TANREN_ASSIGN_OR_RETURN(const StepTotals totals, CountSteps(shape, stream));
  return text + Totals(*corpus, totals, shape);
}

}  // namespace tanren::trainer
