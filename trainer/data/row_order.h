// In which order the rows of all sources come: a pure function of the seed.
#ifndef TANREN_TRAINER_DATA_ROW_ORDER_H_
#define TANREN_TRAINER_DATA_ROW_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace tanren::trainer {

// Rows that are gone through together, pass after pass: each pass takes every row once, in an order
// of its own where rows are shuffled. Without weights all sources are one strand; with weights each
// source is a strand, and each document is taken from one of them.
struct Strand {
  uint64_t first_row = 0;
  uint64_t row_count = 0;
  double weight = 1;  // relative to the others'
};

// One strand of all rows where every weight is 0 or there is one source; else one for each source
// whose weight is above 0. Rows are numbered through all sources. kInvalidArgument if no row is
// left.
absl::StatusOr<std::vector<Strand>> MakeStrands(const std::vector<uint64_t>& rows_of_sources,
                                                const std::vector<double>& weights);

class RowOrder {
 public:
  // Requires at least one strand, and rows and weight > 0 in each.
  RowOrder(std::vector<Strand> strands, uint64_t seed, bool shuffle);

  const std::vector<Strand>& strands() const { return strands_; }
  // Of all strands.
  uint64_t row_count() const;

  // The strand that document `document` of the stream is taken from: independent draws, so that
  // each document is from strand s with probability weight_s / Σ weight.
  size_t StrandOf(uint64_t document) const;

  // The row that comes `index`-th in this strand, over all its passes. Keeps the current pass's
  // order, so going through it costs one shuffle.
  uint64_t RowAt(size_t strand, uint64_t index);

 private:
  struct Pass {
    uint64_t number = UINT64_MAX;
    std::vector<uint64_t> order;
  };
  std::vector<Strand> strands_;
  std::vector<Pass> passes_;
  uint64_t seed_;
  bool shuffle_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_ROW_ORDER_H_
