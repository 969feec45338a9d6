// What a run left in its folder, read for a report. Whatever isn't there yet is left empty, so a
// run that still goes, or that failed, can be looked at too.
#ifndef TANREN_TRAINER_REPORT_RUN_RECORD_H_
#define TANREN_TRAINER_REPORT_RUN_RECORD_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "proto/event.pb.h"
#include "runtime/telemetry/metrics_file.h"
#include "trainer/report/points.h"

namespace tanren::trainer {

// A value with its 95 % confidence interval.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 0;
};

struct ScoredAnswer {
  std::string question;
  std::string expected;
  std::string text;
  bool right = false;
};

// What `tanren-worker evaluate --output` wrote.
struct EvaluationRecord {
  std::optional<Estimate> loss;         // mean −log p of held-out targets, nats
  std::optional<Estimate> exact_match;  // a share, 0 … 1
  int64_t right = 0;
  std::vector<ScoredAnswer> answers;
  // Of multiple choice, by log-likelihood and by log-likelihood a byte: shares, 0 … 1.
  std::optional<Estimate> acc, acc_norm;
};

// The sample questions' answers after so many steps.
struct Asking {
  int64_t step = 0;
  std::vector<std::pair<std::string, std::string>> answers;  // (question, text)
};

struct RunRecord {
  std::filesystem::path folder;
  std::string name;
  std::string recipe;                 // YAML, as it was resolved
  std::optional<RunStarted> started;  // of the latest launch that came to its first step
  std::optional<RunEnded> ended;      // of the same; where there is none, of the latest at all
  std::vector<MetricsLine> metrics;   // by step
  std::vector<Asking> askings;        // by step
  std::optional<EvaluationRecord> before, after;

  // (step, value) of the lines that have the metric and a number for it.
  Points Series(std::string_view metric) const;
  // The steps of the lines that have the metric, but NaN or an infinity for it.
  std::vector<double> Gaps(std::string_view metric) const;
};

// kNotFound where the folder holds no recipe.yaml; kDataLoss, naming file and place, for a file
// that isn't what its name says.
absl::StatusOr<RunRecord> ReadRun(const std::filesystem::path& folder);
absl::StatusOr<std::vector<RunRecord>> ReadRuns(std::span<const std::filesystem::path> folders);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_RUN_RECORD_H_
