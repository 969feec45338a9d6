// The sequence of documents that a recipe trains on. Document i is a function of the recipe and the
// files alone: of neither the number of ranks nor what was trained before.
#ifndef TANREN_TRAINER_DATA_DOCUMENT_STREAM_H_
#define TANREN_TRAINER_DATA_DOCUMENT_STREAM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/data/corpus.h"
#include "trainer/data/row_order.h"

namespace tanren::trainer {

// How far a stream has come.
struct StreamPosition {
  uint64_t documents = 0;
  // Rows that were passed of each strand, over all its passes: those of the documents, and those
  // that are bad, dropped or held out.
  std::vector<uint64_t> rows_passed;
  bool operator==(const StreamPosition&) const = default;
};

struct StreamDocument {
  uint64_t row = 0;  // of the corpus
  RowSummary summary;
  std::optional<Document> document;  // where it had to be rendered on the way
};

struct StreamOptions {
  std::vector<double> weights;  // of the corpus's sources
  uint64_t seed = 0;
  bool shuffle = true;
  // Ends after so many times the corpus's rows, counted over all strands; 0: never.
  double epochs = 0;
};

// Copies are independent; they share the corpus, which has to outlive them.
class DocumentStream {
 public:
  static absl::StatusOr<DocumentStream> Open(Corpus* corpus, const StreamOptions& options);

  // The next document; nullopt at the end. kInvalidArgument for a bad row where the recipe stops,
  // and where a strand has no document at all.
  absl::StatusOr<std::optional<StreamDocument>> Next();

  const StreamPosition& position() const { return position_; }
  void set_position(StreamPosition position) { position_ = std::move(position); }

  // Rows passed, relative to the rows there are.
  double epochs_passed() const;

  // The position as JSON, with what tells whether the data are still the same. Restore refuses a
  // cursor of other data (kFailedPrecondition) and what is no cursor (kInvalidArgument), and leaves
  // the position alone then.
  std::string cursor() const;
  absl::Status Restore(std::string_view cursor);

 private:
  DocumentStream(Corpus* corpus, RowOrder order, const StreamOptions& options);
  uint64_t RowsPassed() const;

  Corpus* corpus_;
  RowOrder order_;
  StreamOptions options_;
  uint64_t row_limit_;
  StreamPosition position_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_DOCUMENT_STREAM_H_
