// The one logger. Lines go to standard error and, once a run folder exists, to a file of the rank.
//   LogInfo("rank {} of {}", rank, size);
// (libtorch's c10 defines LOG and CHECK, so these have other names.)
#ifndef TANREN_RUNTIME_BASE_LOG_H_
#define TANREN_RUNTIME_BASE_LOG_H_

#include <filesystem>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "spdlog/spdlog.h"

namespace tanren {

// Marks each line with the rank where there are several. Ranks other than 0 write only warnings
// and errors to standard error; their files get everything.
void SetLogRank(int rank, int world_size);

// Appends every line to `path` as well, and flushes it: a process that is killed loses none.
absl::Status AddLogFile(const std::filesystem::path& path);

// A line of an error for the log files alone: where it is told otherwise on standard error.
void WriteErrorToLogFiles(const std::string& message);

// What the terminal's last line shows now, without an end, because it will be rewritten: log lines
// are put above it. Empty: there is no such line.
void SetStatusLine(std::string line);

template <typename... Args>
void LogInfo(spdlog::format_string_t<Args...> format, Args&&... args) {
  spdlog::info(format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogWarning(spdlog::format_string_t<Args...> format, Args&&... args) {
  spdlog::warn(format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogError(spdlog::format_string_t<Args...> format, Args&&... args) {
  spdlog::error(format, std::forward<Args>(args)...);
}

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_LOG_H_
