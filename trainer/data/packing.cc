#include "trainer/data/packing.h"

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

absl::Status CheckLength(size_t index, int64_t length, int64_t sequence_length) {
  if (length >= 1 && length <= sequence_length) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("document {}: {} tokens, where 1 to {} (the sequence length) were expected",
                  index, length, sequence_length));
}

}  // namespace

absl::StatusOr<std::vector<Row>> PackFirstFit(std::span<const int64_t> lengths, size_t row_count,
                                              int64_t sequence_length) {
  std::vector<Row> rows(row_count);
  std::vector<int64_t> room(row_count, sequence_length);
  for (size_t i = 0; i < lengths.size(); ++i) {
    TANREN_RETURN_IF_ERROR(CheckLength(i, lengths[i], sequence_length));
    size_t row = 0;
    while (row < row_count && room[row] < lengths[i]) ++row;
    if (row == row_count) break;
    rows[row].push_back(i);
    room[row] -= lengths[i];
  }
  return rows;
}

absl::StatusOr<std::vector<Row>> OneDocumentPerRow(std::span<const int64_t> lengths,
                                                   size_t row_count, int64_t sequence_length) {
  std::vector<Row> rows(row_count);
  for (size_t i = 0; i < lengths.size() && i < row_count; ++i) {
    TANREN_RETURN_IF_ERROR(CheckLength(i, lengths[i], sequence_length));
    rows[i].push_back(i);
  }
  return rows;
}

size_t DocumentCount(std::span<const Row> rows) {
  size_t count = 0;
  for (const Row& row : rows) count += row.size();
  return count;
}

RowRange RowsOf(size_t row_count, int world_size, int rank, int micro_batches, int micro_batch) {
  const size_t parts = static_cast<size_t>(world_size) * static_cast<size_t>(micro_batches);
  TANREN_CHECK(row_count % parts == 0, "{} rows over {} ranks with {} micro-batches each",
               row_count, world_size, micro_batches);
  const size_t rows = row_count / parts;
  const size_t part = static_cast<size_t>(rank) * static_cast<size_t>(micro_batches) +
                      static_cast<size_t>(micro_batch);
  return {part * rows, (part + 1) * rows};
}

}  // namespace tanren::trainer
