#include "trainer/data/document_stream.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

absl::Status NoCursor(std::string_view text) {
  return absl::InvalidArgumentError(fmt::format("\"{:.100}\" is not the position of a data stream",
                                                std::string_view(text.data(), text.size())));
}

uint64_t RowLimit(double epochs, uint64_t rows) {
  if (epochs <= 0) return UINT64_MAX;
  return std::max<uint64_t>(
      1, static_cast<uint64_t>(std::llround(epochs * static_cast<double>(rows))));
}

// What the order of documents depends on.
Json Identity(const Corpus& corpus, const StreamOptions& options) {
  return {{"seed", options.seed},
          {"shuffle", options.shuffle},
          {"weights", options.weights},
          {"rows", corpus.rows_of_sources()},
          {"bytes", corpus.bytes_of_sources()}};
}

}  // namespace

absl::StatusOr<DocumentStream> DocumentStream::Open(Corpus* corpus, const StreamOptions& options) {
  TANREN_ASSIGN_OR_RETURN(std::vector<Strand> strands,
                          MakeStrands(corpus->rows_of_sources(), options.weights));
  return DocumentStream(corpus, RowOrder(std::move(strands), options.seed, options.shuffle),
                        options);
}

DocumentStream::DocumentStream(Corpus* corpus, RowOrder order, const StreamOptions& options)
    : corpus_(corpus),
      order_(std::move(order)),
      options_(options),
      row_limit_(RowLimit(options.epochs, order_.row_count())),
      position_{.documents = 0, .rows_passed = std::vector<uint64_t>(order_.strands().size(), 0)} {}

uint64_t DocumentStream::RowsPassed() const {
  return std::accumulate(position_.rows_passed.begin(), position_.rows_passed.end(), uint64_t{0});
}

double DocumentStream::epochs_passed() const {
  return static_cast<double>(RowsPassed()) / static_cast<double>(order_.row_count());
}

absl::StatusOr<std::optional<StreamDocument>> DocumentStream::Next() {
  // A row without a document is followed by the next one of the same strand: so weights are those
  // of documents, not of rows.
  const size_t strand = order_.StrandOf(position_.documents);
  const uint64_t rows = order_.strands()[strand].row_count;
  uint64_t left = row_limit_ - std::min(row_limit_, RowsPassed());
  // Twice its rows hold a whole pass, wherever they begin.
  for (uint64_t misses = 0; misses < 2 * rows; ++misses, --left) {
    if (left == 0) return std::nullopt;
    StreamDocument next;
    next.row = order_.RowAt(strand, position_.rows_passed[strand]);
    if (!corpus_->HeldOut(next.row)) {
      TANREN_ASSIGN_OR_RETURN(next.summary, corpus_->Summary(next.row, &next.document));
    }
    ++position_.rows_passed[strand];
    if (next.summary.tokens == 0) continue;
    ++position_.documents;
    return next;
  }
  const RowCounts counts = corpus_->counts();
  return absl::InvalidArgumentError(fmt::format(
      "none of the {} rows from {} on gives a document; of all rows {} are bad and {} dropped",
      rows, corpus_->Where(order_.strands()[strand].first_row), counts.bad_rows,
      counts.dropped_too_long + counts.dropped_no_target));
}

std::string DocumentStream::cursor() const {
  return Json{{"documents", position_.documents},
              {"rows_passed", position_.rows_passed},
              {"data", Identity(*corpus_, options_)}}
      .dump();
}

absl::Status DocumentStream::Restore(std::string_view cursor) {
  const Json saved = Json::parse(cursor, nullptr, false);
  if (!saved.is_object() || !saved.contains("data") || !saved["data"].is_object()) {
    return NoCursor(cursor);
  }
  const Json identity = Identity(*corpus_, options_);
  for (const auto& [name, now] : identity.items()) {
    const Json then = saved["data"].contains(name) ? saved["data"][name] : Json();
    if (then == now) continue;
    return absl::FailedPreconditionError(
        fmt::format("the data are not those that the checkpoint was made with: {} was {}, is {}",
                    name, then.dump(), now.dump()));
  }
  StreamPosition position;
  try {
    position.documents = saved.at("documents").get<uint64_t>();
    position.rows_passed = saved.at("rows_passed").get<std::vector<uint64_t>>();
  } catch (const Json::exception&) {
    return NoCursor(cursor);
  }
  if (position.rows_passed.size() != order_.strands().size()) return NoCursor(cursor);
  position_ = std::move(position);
  return absl::OkStatus();
}

}  // namespace tanren::trainer
