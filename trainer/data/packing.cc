#include "trainer/data/packing.h"

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

absl::StatusOr<std::vector<Row>> Pack(std::span<const int64_t> lengths, RowPacker packer) {
  for (const int64_t length : lengths) {
    TANREN_ASSIGN_OR_RETURN(const bool placed, packer.Add(length));
    if (!placed) break;
  }
  return packer.rows();
}

}  // namespace

RowPacker::RowPacker(size_t row_count, int64_t sequence_length, bool share_rows)
    : rows_(row_count),
      room_(row_count, sequence_length),
      sequence_length_(sequence_length),
      share_rows_(share_rows) {}

absl::StatusOr<bool> RowPacker::Add(int64_t length) {
  if (length < 1 || length > sequence_length_) {
    return absl::InvalidArgumentError(
        fmt::format("document {}: {} tokens, where 1 to {} (the sequence length) were expected",
                    document_count_, length, sequence_length_));
  }
  size_t row = full_rows_;
  while (row < rows_.size() && room_[row] < length) ++row;
  if (row == rows_.size()) return false;
  rows_[row].push_back(document_count_++);
  room_[row] = share_rows_ ? room_[row] - length : 0;
  while (full_rows_ < rows_.size() && room_[full_rows_] == 0) ++full_rows_;
  return true;
}

absl::StatusOr<std::vector<Row>> PackFirstFit(std::span<const int64_t> lengths, size_t row_count,
                                              int64_t sequence_length) {
  return Pack(lengths, RowPacker(row_count, sequence_length, true));
}

absl::StatusOr<std::vector<Row>> OneDocumentPerRow(std::span<const int64_t> lengths,
                                                   size_t row_count, int64_t sequence_length) {
  return Pack(lengths, RowPacker(row_count, sequence_length, false));
}

size_t DocumentCount(std::span<const Row> rows) {
  size_t count = 0;
  for (const Row& row : rows) count += row.size();
  return count;
}

RowRange RowsOf(size_t row_count, int world_size, int rank, int micro_batches, int micro_batch) {
  const auto world = static_cast<size_t>(world_size);
  TANREN_CHECK(row_count % world == 0, "{} rows over {} ranks", row_count, world_size);
  const size_t rows = row_count / world;
  const auto parts = static_cast<size_t>(micro_batches);
  const auto part = static_cast<size_t>(micro_batch);
  const size_t first = static_cast<size_t>(rank) * rows;
  return {first + rows * part / parts, first + rows * (part + 1) / parts};
}

}  // namespace tanren::trainer
