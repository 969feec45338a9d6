#include "trainer/data/row_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/random.h"

namespace tanren::trainer {

absl::StatusOr<std::vector<Strand>> MakeStrands(const std::vector<uint64_t>& rows_of_sources,
                                                const std::vector<double>& weights) {
  TANREN_CHECK(rows_of_sources.size() == weights.size());
  const bool weighted = weights.size() > 1 &&
                        std::any_of(weights.begin(), weights.end(), [](double w) { return w > 0; });
  std::vector<Strand> strands;
  uint64_t first_row = 0;
  for (size_t s = 0; s < weights.size(); ++s) {
    if (weighted && weights[s] > 0) {
      if (rows_of_sources[s] == 0) {
        return absl::InvalidArgumentError(
            fmt::format("data.sources[{}] has weight {} and no row", s, weights[s]));
      }
      strands.push_back({first_row, rows_of_sources[s], weights[s]});
    }
    first_row += rows_of_sources[s];
  }
  if (first_row == 0) return absl::InvalidArgumentError("the data.sources hold no row");
  if (!weighted) strands.push_back({0, first_row, 1});
  return strands;
}

RowOrder::RowOrder(std::vector<Strand> strands, uint64_t seed, bool shuffle)
    : strands_(std::move(strands)), passes_(strands_.size()), seed_(seed), shuffle_(shuffle) {
  TANREN_CHECK(!strands_.empty());
  for (const Strand& strand : strands_) TANREN_CHECK(strand.row_count > 0 && strand.weight > 0);
}

uint64_t RowOrder::row_count() const {
  return std::accumulate(strands_.begin(), strands_.end(), uint64_t{0},
                         [](uint64_t sum, const Strand& s) { return sum + s.row_count; });
}

size_t RowOrder::StrandOf(uint64_t document) const {
  if (strands_.size() == 1) return 0;
  double total = 0;
  for (const Strand& strand : strands_) total += strand.weight;
  RandomStream stream(seed_, RandomPurpose::kMixture, static_cast<uint32_t>(document),
                      static_cast<uint32_t>(document >> 32));
  double left = stream.NextUniform() * total;
  for (size_t s = 0; s + 1 < strands_.size(); ++s) {
    left -= strands_[s].weight;
    if (left < 0) return s;
  }
  return strands_.size() - 1;
}

uint64_t RowOrder::RowAt(size_t strand, uint64_t index) {
  const auto [first_row, row_count, weight] = strands_[strand];
  const uint64_t number = index / row_count;
  if (!shuffle_) return first_row + index % row_count;
  Pass& pass = passes_[strand];
  if (pass.number != number) {
    pass.order = Permutation(
        row_count, RandomStream(seed_, RandomPurpose::kShuffle, static_cast<uint32_t>(number),
                                static_cast<uint32_t>(strand)));
    pass.number = number;
  }
  return first_row + pass.order[index % row_count];
}

}  // namespace tanren::trainer
