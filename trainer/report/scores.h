// The shares of right answers that evaluations find, for pages and terminals.
#ifndef TANREN_TRAINER_REPORT_SCORES_H_
#define TANREN_TRAINER_REPORT_SCORES_H_

#include <optional>
#include <span>
#include <string>

#include "trainer/report/run_record.h"

namespace tanren::trainer {

struct Score {
  const char* name;   // for tables
  const char* title;  // for charts
  std::optional<Estimate> EvaluationRecord::*share;
};

std::span<const Score> Scores();

// What the evaluation found, where there was one and it asked for this.
std::optional<Estimate> ShareOf(const std::optional<EvaluationRecord>& evaluation,
                                const Score& score);
bool HasScore(const RunRecord& run, const Score& score);

// "50.0 % [10.0, 90.0]", or a dash.
std::string ScoreText(const std::optional<EvaluationRecord>& evaluation, const Score& score);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_SCORES_H_
