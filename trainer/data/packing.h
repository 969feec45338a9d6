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

// Takes documents in order, each into the first row that has room, until one fits into none of
// the `row_count` rows; that one starts the next step. Returns exactly `row_count` rows, of which
// the last ones are empty when the documents run out. `lengths` are in tokens.
// kInvalidArgument if a document is empty or longer than `sequence_length`, naming its index.
absl::StatusOr<std::vector<Row>> PackFirstFit(std::span<const int64_t> lengths, size_t row_count,
                                              int64_t sequence_length);

// One document in a row. Errors as above.
absl::StatusOr<std::vector<Row>> OneDocumentPerRow(std::span<const int64_t> lengths,
                                                   size_t row_count, int64_t sequence_length);

// How many documents a plan took: they are the first ones of the order.
size_t DocumentCount(std::span<const Row> rows);

// The rows of one rank's micro-batch: rows are dealt in contiguous blocks, by rank, then by
// micro-batch. Requires row_count = world_size × micro_batches × rows of a micro-batch.
struct RowRange {
  size_t begin = 0;
  size_t end = 0;
};
RowRange RowsOf(size_t row_count, int world_size, int rank, int micro_batches, int micro_batch);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_PACKING_H_
