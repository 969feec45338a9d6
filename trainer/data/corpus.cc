#include "trainer/data/corpus.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/random.h"
#include "trainer/data/example.h"
#include "trainer/data/truncation.h"

namespace tanren::trainer {
namespace {

// Rows that threads go through before their results are counted in order.
constexpr uint64_t kRowsAtOnce = 4096;

RowFormat FormatOf(SourceRecipe::Format format) {
  switch (format) {
    case SourceRecipe::MESSAGES:
      return RowFormat::kMessages;
    case SourceRecipe::PROMPT_COMPLETION:
      return RowFormat::kPromptCompletion;
    case SourceRecipe::TEXT:
      return RowFormat::kText;
    case SourceRecipe::INSTRUCTION:
      return RowFormat::kInstruction;
    case SourceRecipe::AUTO:
      break;
  }
  return RowFormat::kAuto;
}

}  // namespace

struct Corpus::Reading {
  RowSummary summary;
  std::optional<Document> document;
  Fit fit = Fit::kWhole;
  std::string bad_reason;  // why it isn't a document at all
};

absl::StatusOr<std::unique_ptr<Corpus>> Corpus::Open(
    const google::protobuf::RepeatedPtrField<SourceRecipe>& sources, DocumentRenderer renderer,
    const CorpusOptions& options) {
  std::unique_ptr<Corpus> corpus(new Corpus(std::move(renderer), options));
  uint64_t rows = 0;
  for (const SourceRecipe& source : sources) {
    TANREN_ASSIGN_OR_RETURN(JsonlFile file, JsonlFile::Open(source.path()));
    const uint64_t first_row = rows;
    rows += file.row_count();
    corpus->sources_.push_back({std::move(file), FormatOf(source.format()), first_row});
  }
  corpus->summaries_.resize(rows);
  corpus->known_.resize(rows, 0);
  return corpus;
}

std::vector<uint64_t> Corpus::rows_of_sources() const {
  std::vector<uint64_t> rows;
  for (const Source& source : sources_) rows.push_back(source.file.row_count());
  return rows;
}

std::vector<uint64_t> Corpus::bytes_of_sources() const {
  std::vector<uint64_t> bytes;
  for (const Source& source : sources_) bytes.push_back(source.file.size_in_bytes());
  return bytes;
}

const Corpus::Source& Corpus::SourceOf(uint64_t row) const {
  TANREN_CHECK(row < row_count(), "row {} of {}", row, row_count());
  const auto after =
      std::partition_point(sources_.begin(), sources_.end(),
                           [row](const Source& source) { return source.first_row <= row; });
  return *(after - 1);
}

bool Corpus::HeldOut(uint64_t row) const {
  if (options_.validation_fraction <= 0) return false;
  const Source& source = SourceOf(row);
  RandomStream stream(options_.seed, RandomPurpose::kValidation,
                      static_cast<uint32_t>(&source - sources_.data()),
                      static_cast<uint32_t>(row - source.first_row));
  return stream.NextUniform() < options_.validation_fraction;
}

std::string Corpus::Where(uint64_t row) const {
  const Source& source = SourceOf(row);
  return source.file.Where(row - source.first_row);
}

absl::StatusOr<Document> Corpus::Render(uint64_t row) const {
  const Source& source = SourceOf(row);
  TANREN_ASSIGN_OR_RETURN(const std::string_view line, source.file.Row(row - source.first_row));
  TANREN_ASSIGN_OR_RETURN(const Example example, ParseExample(line, source.format));
  return renderer_.Render(example);
}

absl::StatusOr<Corpus::Reading> Corpus::Examine(uint64_t row) const {
  Reading reading;
  absl::StatusOr<Document> document = Render(row);
  if (!document.ok()) {
    const absl::Status& status = document.status();
    const bool skipped = absl::IsInvalidArgument(status) && options_.bad_rows == DataRecipe::SKIP;
    if (!skipped) return Annotate(status, Where(row));
    reading.bad_reason = std::string(status.message());
    return reading;
  }
  const auto fit = Truncate(options_.truncation, options_.sequence_length, &*document);
  if (!fit.ok()) return Annotate(fit.status(), Where(row));
  reading.fit = *fit;
  if (reading.fit == Fit::kWhole || reading.fit == Fit::kCut) {
    reading.summary = {static_cast<int32_t>(document->tokens.size()),
                       static_cast<float>(TargetWeight(*document))};
    reading.document = *std::move(document);
  }
  return reading;
}

void Corpus::Count(uint64_t row, const Reading& reading) {
  const std::lock_guard lock(mutex_);
  if (known_[row] != 0) return;
  known_[row] = 1;
  summaries_[row] = reading.summary;
  if (!reading.bad_reason.empty()) {
    ++counts_.bad_rows;
    if (counts_.first_bad_rows.size() < kBadRowsShown) {
      counts_.first_bad_rows.push_back(fmt::format("{}: {}", Where(row), reading.bad_reason));
    }
    return;
  }
  counts_.truncated += reading.fit == Fit::kCut;
  counts_.dropped_too_long += reading.fit == Fit::kTooLong;
  counts_.dropped_no_target += reading.fit == Fit::kNoTargets;
  counts_.documents += reading.summary.tokens > 0;
  counts_.tokens += reading.summary.tokens;
  counts_.target_weight += reading.summary.target_weight;
}

absl::StatusOr<std::optional<Document>> Corpus::Read(uint64_t row) {
  TANREN_ASSIGN_OR_RETURN(Reading reading, Examine(row));
  Count(row, reading);
  return std::move(reading.document);
}

absl::StatusOr<RowSummary> Corpus::Summary(uint64_t row, std::optional<Document>* document) {
  {
    const std::lock_guard lock(mutex_);
    TANREN_CHECK(row < summaries_.size(), "row {} of {}", row, summaries_.size());
    if (known_[row] != 0) return summaries_[row];
  }
  TANREN_ASSIGN_OR_RETURN(Reading reading, Examine(row));
  Count(row, reading);
  if (document != nullptr) *document = std::move(reading.document);
  return reading.summary;
}

absl::Status Corpus::SummarizeAll(int threads) {
  for (uint64_t begin = 0; begin < row_count(); begin += kRowsAtOnce) {
    const uint64_t end = std::min(begin + kRowsAtOnce, row_count());
    std::vector<absl::StatusOr<Reading>> readings(end - begin, Reading());
    std::atomic<uint64_t> next = begin;
    const auto examine = [&] {
      for (uint64_t row = next++; row < end; row = next++) {
        absl::StatusOr<Reading>& reading = readings[row - begin];
        try {
          reading = Examine(row);
        } catch (...) {  // out of memory; it must not leave the thread
          reading = StatusOfCurrentException();
        }
        if (reading.ok()) reading->document.reset();
      }
    };
    std::vector<std::jthread> helpers;
    for (int t = 1; t < threads; ++t) helpers.emplace_back(examine);
    examine();
    helpers.clear();
    for (uint64_t row = begin; row < end; ++row) {
      TANREN_RETURN_IF_ERROR(readings[row - begin].status());
      Count(row, *readings[row - begin]);
    }
  }
  return absl::OkStatus();
}

RowCounts Corpus::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace tanren::trainer
