// The table at the head of a report: what each run is, how far it came, and its main figures.
#ifndef TANREN_TRAINER_REPORT_RUN_TABLE_H_
#define TANREN_TRAINER_REPORT_RUN_TABLE_H_

#include <span>
#include <string>
#include <vector>

#include "trainer/report/points.h"
#include "trainer/report/run_record.h"

namespace tanren::trainer {

// "finished", "saved at step 12, to be resumed", "failed", "still going, or killed", …
std::string StateOf(const RunRecord& run);

// "first → last" of a metric, (step, value); a dash where it wasn't taken.
std::string Change(const Points& points);

// A row for each run; `names` are theirs on the page.
std::string RunTable(std::span<const RunRecord> runs, const std::vector<std::string>& names);

// Why runs failed, each in a paragraph. Empty where none has.
std::string Failures(std::span<const RunRecord> runs, const std::vector<std::string>& names);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_RUN_TABLE_H_
