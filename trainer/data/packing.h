// Which documents of a step share a row, and which rows go to which rank and micro-batch. Pure:
// the plan depends on the documents' lengths and order alone, so that every rank finds the same
// one without talking, and a step holds the same documents on any number of ranks.
#ifndef TANREN_TRAINER_DATA_PACKING_H_
#define TANREN_TRAINER_DATA_PACKING_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace tanren::trainer {

// The documents of one row, as indices into the order given, ascending. A row's tokens fit into
// the sequence length; documents of one row don't see each other.
using Row = std::vector<size_t>;

// Lays documents into rows one by one, in order, until one has no place; that one starts the next
// step.
class RowPacker {
 public:
  // `share_rows`: each document goes into the first row that has room; else each has its own row.
  RowPacker(size_t row_count, int64_t sequence_length, bool share_rows);

  // False, and nothing changes, if the document has no place. `length` is in tokens.
  // kInvalidArgument if it is below 1 or above the sequence length, naming the document's index.
  absl::StatusOr<bool> Add(int64_t length);

  // Exactly `row_count` rows, of which the last ones are empty where documents ran out.
  const std::vector<Row>& rows() const { return rows_; }
  size_t document_count() const { return document_count_; }

 private:
  std::vector<Row> rows_;
  std::vector<int64_t> room_;
  int64_t sequence_length_;
  bool share_rows_;
  size_t document_count_ = 0;
  size_t full_rows_ = 0;  // rows before this one have no room at all
};

// All documents of `lengths` that have a place in a step.
absl::StatusOr<std::vector<Row>> PackFirstFit(std::span<const int64_t> lengths, size_t row_count,
                                              int64_t sequence_length);
absl::StatusOr<std::vector<Row>> OneDocumentPerRow(std::span<const int64_t> lengths,
                                                   size_t row_count, int64_t sequence_length);

// How many documents a plan took: they are the first ones of the order.
size_t DocumentCount(std::span<const Row> rows);

// The rows of one rank's micro-batch: ranks have contiguous blocks of equal size, and split theirs
// into contiguous micro-batches whose sizes differ by at most one. Requires that world_size divides
// row_count.
struct RowRange {
  size_t begin = 0;
  size_t end = 0;
};
RowRange RowsOf(size_t row_count, int world_size, int rank, int micro_batches, int micro_batch);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_PACKING_H_
