// The tables of a report that show what was asked and answered before and after training.
#ifndef TANREN_TRAINER_REPORT_ANSWERS_H_
#define TANREN_TRAINER_REPORT_ANSWERS_H_

#include <string>

#include "trainer/report/run_record.h"

namespace tanren::trainer {

// The first questions that have one right answer, with what the model answered and whether that is
// right. Empty where there are none.
std::string ScoredAnswersTable(const RunRecord& run);

// The first sample questions with the answers before and after. Empty where none were asked.
std::string SampleAnswersTable(const RunRecord& run);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_ANSWERS_H_
