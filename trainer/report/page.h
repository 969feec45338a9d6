// The report of one run or several, compared: for a browser, and in short for a terminal.
#ifndef TANREN_TRAINER_REPORT_PAGE_H_
#define TANREN_TRAINER_REPORT_PAGE_H_

#include <span>
#include <string>

#include "trainer/report/run_record.h"

namespace tanren::trainer {

// A page that needs no other file and no script: a table of the runs, their curves, scores before
// and after with intervals, the same questions before and after, and the recipes.
std::string ReportPage(std::span<const RunRecord> runs);

// The figures and answers that matter most, for a terminal.
std::string ReportText(std::span<const RunRecord> runs);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_PAGE_H_
