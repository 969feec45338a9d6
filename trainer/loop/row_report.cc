#include "trainer/loop/row_report.h"

#include <array>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace tanren::trainer {

std::string DescribeLosses(std::string_view data, const RowCounts& counts) {
  const std::array<std::pair<int64_t, std::string_view>, 4> kinds = {
      {{counts.bad_rows, "bad and left out"},
       {counts.truncated, "cut to data.sequence_length"},
       {counts.dropped_too_long, "too long and left out"},
       {counts.dropped_no_target, "left out, for no target was left when they were cut"}}};
  std::vector<std::string> parts;
  for (const auto& [count, what] : kinds) {
    if (count > 0) parts.push_back(fmt::format("{} {}", count, what));
  }
  if (parts.empty()) return "";
  return fmt::format("rows of the {}: {}; {} documents", data, fmt::join(parts, ", "),
                     counts.documents);
}

RowReport::RowReport(std::string data, const Corpus& corpus, Warn warn)
    : data_(std::move(data)), corpus_(corpus), warn_(std::move(warn)) {}

void RowReport::NameBadRows() {
  const std::vector<std::string> bad = corpus_.counts().first_bad_rows;
  for (; named_ < bad.size(); ++named_) warn_(fmt::format("left out: {}", bad[named_]));
}

void RowReport::RunStarted(StartReport& report) { NameBadRows(); }

void RowReport::StepFinished(StepReport& report) {
  NameBadRows();
  if (!report.is_last && !report.stop_requested) return;
  if (const std::string losses = DescribeLosses(data_, corpus_.counts()); !losses.empty()) {
    warn_(losses);
  }
}

}  // namespace tanren::trainer
