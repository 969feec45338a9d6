// The rows of all sources as documents, and what became of each row.
#ifndef TANREN_TRAINER_DATA_CORPUS_H_
#define TANREN_TRAINER_DATA_CORPUS_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"
#include "trainer/data/document.h"
#include "trainer/data/jsonl_file.h"
#include "trainer/data/rendering.h"

namespace tanren::trainer {

// What of a document decides where it goes: no rank has to tokenise again what it only counts.
struct RowSummary {
  int32_t tokens = 0;  // 0: the row gives no document
  float target_weight = 0;
};

// Of the rows looked at so far, each counted once however many passes there are.
struct RowCounts {
  int64_t documents = 0;
  int64_t tokens = 0;
  double target_weight = 0;
  int64_t truncated = 0;          // documents that were cut
  int64_t dropped_too_long = 0;   // truncation: drop
  int64_t dropped_no_target = 0;  // cut until no target was left
  int64_t bad_rows = 0;
  // The first few: "file:line: reason".
  std::vector<std::string> first_bad_rows;
};

struct CorpusOptions {
  int64_t sequence_length = 1024;
  DataRecipe::Truncation truncation = DataRecipe::KEEP_START;
  DataRecipe::BadRows bad_rows = DataRecipe::STOP;
  uint64_t seed = 0;
  double validation_fraction = 0;
};

// Rows are numbered through all sources, in the order of the sources. Safe for several threads.
class Corpus {
 public:
  static constexpr size_t kBadRowsShown = 5;

  // Maps the files and finds their lines. Paths are as the configuration has resolved them. Errors
  // name the file. The renderer's tokenizer and template have to outlive the corpus.
  static absl::StatusOr<std::unique_ptr<Corpus>> Open(
      const google::protobuf::RepeatedPtrField<SourceRecipe>& sources, DocumentRenderer renderer,
      const CorpusOptions& options);

  size_t source_count() const { return sources_.size(); }
  std::vector<uint64_t> rows_of_sources() const;
  uint64_t row_count() const { return summaries_.size(); }
  // Of the files, to tell whether they changed.
  std::vector<uint64_t> bytes_of_sources() const;

  // Whether validation_fraction holds the row out: a function of the seed, the source's place among
  // the sources and the row's place in it.
  bool HeldOut(uint64_t row) const;
  // "file:line". Slow in long files.
  std::string Where(uint64_t row) const;

  // The row's document, cut to fit; nullopt if it gives none, which is counted. Under bad_rows:
  // stop a bad row is an error, kInvalidArgument "file:line: reason".
  absl::StatusOr<std::optional<Document>> Read(uint64_t row);

  // The same without the tokens; kept, so that each row is rendered once. `document`, if given,
  // receives the document where it had to be rendered.
  absl::StatusOr<RowSummary> Summary(uint64_t row, std::optional<Document>* document = nullptr);

  // Summary of every row, by several threads. The first bad row of the files is the error.
  absl::Status SummarizeAll(int threads);

  RowCounts counts() const;

 private:
  struct Source {
    JsonlFile file;
    RowFormat format;
    uint64_t first_row;
  };
  struct Reading;  // a row as read, before it is counted

  Corpus(DocumentRenderer renderer, const CorpusOptions& options)
      : renderer_(std::move(renderer)), options_(options) {}
  const Source& SourceOf(uint64_t row) const;
  absl::StatusOr<Document> Render(uint64_t row) const;
  absl::StatusOr<Reading> Examine(uint64_t row) const;
  void Count(uint64_t row, const Reading& reading);

  DocumentRenderer renderer_;
  CorpusOptions options_;
  std::vector<Source> sources_;

  mutable std::mutex mutex_;
  std::vector<RowSummary> summaries_;
  std::vector<uint8_t> known_;
  RowCounts counts_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_CORPUS_H_
