#include "trainer/data/step.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

bool AnyDocument(const std::vector<Row>& rows, RowRange range) {
  return std::any_of(rows.begin() + static_cast<int64_t>(range.begin),
                     rows.begin() + static_cast<int64_t>(range.end),
                     [](const Row& row) { return !row.empty(); });
}

absl::StatusOr<Document> TakeDocument(StreamDocument* planned, Corpus* corpus) {
  if (planned->document) return *std::exchange(planned->document, std::nullopt);
  TANREN_ASSIGN_OR_RETURN(std::optional<Document> document, corpus->Read(planned->row));
  if (document && static_cast<int32_t>(document->tokens.size()) == planned->summary.tokens) {
    return *std::move(document);
  }
  return absl::DataLossError(
      fmt::format("{}: the file changed while it was in use", corpus->Where(planned->row)));
}

absl::StatusOr<Batch> MakeMicroBatch(RowRange range, StepPlan* plan, Corpus* corpus) {
  std::vector<Document> documents;
  for (size_t row = range.begin; row < range.end; ++row) {
    for (const size_t i : plan->rows[row]) {
      TANREN_ASSIGN_OR_RETURN(documents.emplace_back(), TakeDocument(&plan->documents[i], corpus));
    }
  }
  if (documents.empty()) documents.push_back({.tokens = {0}, .weights = {0}});
  std::vector<const Document*> pointers;
  for (const Document& document : documents) pointers.push_back(&document);
  return MakeBatch(pointers);
}

}  // namespace

absl::Status CheckShape(const StepShape& shape) {
  const int64_t world = shape.world_size;
  if (shape.batch_rows % world == 0) return absl::OkStatus();
  const int64_t below = shape.batch_rows / world * world;
  return absl::InvalidArgumentError(fmt::format(
      "training.batch_rows is {}, which {} ranks can't share equally; {} would do, or a number of "
      "ranks that divides {}",
      shape.batch_rows, world,
      below > 0 ? fmt::format("{} or {}", below, below + world) : fmt::format("{}", world),
      shape.batch_rows));
}

int64_t StepPlan::tokens() const {
  int64_t sum = 0;
  for (const StreamDocument& document : documents) sum += document.summary.tokens;
  return sum;
}

double StepPlan::target_weight() const {
  double sum = 0;
  for (const StreamDocument& document : documents) sum += document.summary.target_weight;
  return sum;
}

absl::StatusOr<std::optional<StepPlan>> PlanStep(const StepShape& shape, DocumentStream* stream,
                                                 std::optional<StreamDocument>* look_ahead) {
  StepPlan plan;
  RowPacker packer(static_cast<size_t>(shape.batch_rows), shape.sequence_length, shape.packing);
  while (true) {
    StreamPosition before = stream->position();
    TANREN_ASSIGN_OR_RETURN(std::optional<StreamDocument> next, stream->Next());
    if (!next) break;
    if (look_ahead != nullptr && *look_ahead) {
      if ((*look_ahead)->row == next->row && !next->document) {
        next->document = std::move((*look_ahead)->document);
      }
      look_ahead->reset();
    }
    TANREN_ASSIGN_OR_RETURN(const bool placed, packer.Add(next->summary.tokens));
    if (!placed) {
      stream->set_position(std::move(before));
      if (look_ahead != nullptr) *look_ahead = std::move(next);
      break;
    }
    plan.documents.push_back(*std::move(next));
  }
  if (plan.documents.empty()) return std::nullopt;
  plan.rows = packer.rows();
  return plan;
}

absl::StatusOr<StepBatches> MakeStep(const StepShape& shape, StepPlan plan, Corpus* corpus) {
  const int64_t rows_of_rank = shape.batch_rows / shape.world_size;
  const auto count =
      static_cast<int>((rows_of_rank + shape.micro_batch_rows - 1) / shape.micro_batch_rows);
  StepBatches step{.target_weight = plan.target_weight(),
                   .tokens = plan.tokens(),
                   .documents = static_cast<int64_t>(plan.documents.size())};
  for (int m = 0; m < count; ++m) {
    const auto range = [&](int rank) {
      return RowsOf(plan.rows.size(), shape.world_size, rank, count, m);
    };
    bool used = false;
    for (int rank = 0; rank < shape.world_size && !used; ++rank) {
      used = AnyDocument(plan.rows, range(rank));
    }
    if (!used) continue;
    TANREN_ASSIGN_OR_RETURN(Batch batch, MakeMicroBatch(range(shape.rank), &plan, corpus));
    step.micro_batches.push_back(std::move(batch));
  }
  return step;
}

absl::StatusOr<StepTotals> CountSteps(const StepShape& shape, DocumentStream stream) {
  StepTotals totals;
  while (true) {
    TANREN_ASSIGN_OR_RETURN(const std::optional<StepPlan> plan, PlanStep(shape, &stream, nullptr));
    if (!plan) return totals;
    ++totals.steps;
    totals.documents += static_cast<int64_t>(plan->documents.size());
    totals.tokens += plan->tokens();
    totals.target_weight += plan->target_weight();
  }
}

}  // namespace tanren::trainer
