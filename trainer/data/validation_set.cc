#include "trainer/data/validation_set.h"

#include <optional>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/random.h"

namespace tanren::trainer {
namespace {

// Purpose kValidation with numbers of sources is for holding rows out; this one is no source's.
constexpr uint32_t kWhichDocuments = UINT32_MAX;

// So that, of several sources, not the first one's rows alone are taken.
std::vector<uint64_t> Shuffled(const std::vector<uint64_t>& rows, uint64_t seed) {
  std::vector<uint64_t> shuffled;
  for (const uint64_t i :
       Permutation(rows.size(), RandomStream(seed, RandomPurpose::kValidation, kWhichDocuments))) {
    shuffled.push_back(rows[i]);
  }
  return shuffled;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ValidationSet>> ValidationSet::Make(Corpus* corpus,
                                                                   std::vector<uint64_t> rows,
                                                                   int64_t max_documents,
                                                                   uint64_t seed, StepShape shape) {
  shape.batch_rows = shape.world_size * shape.micro_batch_rows;
  if (max_documents > 0) rows = Shuffled(rows, seed);
  std::unique_ptr<ValidationSet> set(new ValidationSet());
  const auto new_packer = [&shape] {
    return RowPacker(static_cast<size_t>(shape.batch_rows), shape.sequence_length, shape.packing);
  };
  RowPacker packer = new_packer();
  StepPlan plan;
  const auto finish_step = [&]() -> absl::Status {
    plan.rows = packer.rows();
    TANREN_ASSIGN_OR_RETURN(StepBatches step, MakeStep(shape, std::exchange(plan, {}), corpus));
    set->tokens_ += step.tokens;
    set->target_weight_ += step.target_weight;
    set->steps_.push_back(std::move(step));
    packer = new_packer();
    return absl::OkStatus();
  };
  for (const uint64_t row : rows) {
    if (max_documents > 0 && set->documents_ == max_documents) break;
    StreamDocument next{.row = row};
    TANREN_ASSIGN_OR_RETURN(next.summary, corpus->Summary(row, &next.document));
    if (next.summary.tokens == 0) continue;
    TANREN_ASSIGN_OR_RETURN(bool placed, packer.Add(next.summary.tokens));
    if (!placed) {
      TANREN_RETURN_IF_ERROR(finish_step());
      TANREN_ASSIGN_OR_RETURN(placed, packer.Add(next.summary.tokens));
    }
    plan.documents.push_back(std::move(next));
    ++set->documents_;
  }
  if (set->documents_ == 0) {
    return absl::InvalidArgumentError(
        rows.empty() ? "validation: no row is held out; a larger data.validation_fraction or more "
                       "rows would do"
                     : "validation: none of the held-out rows gives a document");
  }
  TANREN_RETURN_IF_ERROR(finish_step());
  return set;
}

}  // namespace tanren::trainer
