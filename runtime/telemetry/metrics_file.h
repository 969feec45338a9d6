// <run>/metrics.jsonl: one JSON object a line, {"step":3,"loss":2.5}, in the order of steps, for
// people and plots.
#ifndef TANREN_RUNTIME_TELEMETRY_METRICS_FILE_H_
#define TANREN_RUNTIME_TELEMETRY_METRICS_FILE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren {

struct MetricsLine {
  int64_t step = 0;
  // Names and values as in the file. NaN and Inf are written as null, and read as NaN.
  std::vector<std::pair<std::string, double>> values;
};

// The writer. One thread.
class MetricsFile {
 public:
  // Continues the file, without a last line that was torn, or makes it.
  static absl::StatusOr<MetricsFile> Open(const std::filesystem::path& path);
  MetricsFile(MetricsFile&& other) noexcept;
  MetricsFile& operator=(MetricsFile&& other) noexcept;
  ~MetricsFile();

  // The line is in the file when this returns. Steps don't fall; values read back bit for bit.
  absl::Status Append(const MetricsLine& line);

  // Removes the lines of steps after `step`: a run that resumes at a checkpoint does these again.
  // kDataLoss, with the line's number and nothing removed, for a line that isn't one of ours.
  absl::Status CutBackTo(int64_t step);

 private:
  MetricsFile(std::filesystem::path path, int descriptor);
  absl::Status Truncate(uint64_t size);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

// The whole lines of the file; a torn last one is left out. kDataLoss for any other line that isn't
// one of ours.
absl::StatusOr<std::vector<MetricsLine>> ReadMetrics(const std::filesystem::path& path);

}  // namespace tanren

#endif  // TANREN_RUNTIME_TELEMETRY_METRICS_FILE_H_
