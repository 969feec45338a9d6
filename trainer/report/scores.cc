#include "trainer/report/scores.h"

#include "fmt/format.h"

namespace tanren::trainer {

std::span<const Score> Scores() {
  static constexpr Score kScores[] = {
      {"exact match", "Exact match, with 95 % intervals", &EvaluationRecord::exact_match},
      {"acc", "Choices by log-likelihood (acc), with 95 % intervals", &EvaluationRecord::acc},
      {"acc_norm", "Choices by log-likelihood a byte (acc_norm), with 95 % intervals",
       &EvaluationRecord::acc_norm},
  };
  return kScores;
}

std::optional<Estimate> ShareOf(const std::optional<EvaluationRecord>& evaluation,
                                const Score& score) {
  return evaluation ? (*evaluation).*score.share : std::nullopt;
}

bool HasScore(const RunRecord& run, const Score& score) {
  return ShareOf(run.before, score) || ShareOf(run.after, score);
}

std::string ScoreText(const std::optional<EvaluationRecord>& evaluation, const Score& score) {
  const std::optional<Estimate> share = ShareOf(evaluation, score);
  if (!share) return "–";
  return fmt::format("{:.1f} % [{:.1f}, {:.1f}]", 100 * share->value, 100 * share->low,
                     100 * share->high);
}

}  // namespace tanren::trainer
