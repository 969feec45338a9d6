// When the bytes of a log were written: offsets with their times, in a file beside it. To the
// second for the last minute, for what is older to 1/64 of its age, so that the file stays below
// 100 KiB however long a rank writes.
#ifndef TANREN_COORDINATOR_LAUNCH_LOG_TIMES_H_
#define TANREN_COORDINATOR_LAUNCH_LOG_TIMES_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// "<log without .log>.times".
std::filesystem::path TimesPath(const std::filesystem::path& log);

// The one writer. What the disk doesn't take is left out.
class LogTimes {
 public:
  explicit LogTimes(std::filesystem::path path) : path_(std::move(path)) {}

  // Bytes from `offset` on were written at `now_ms`, since the epoch.
  void Wrote(uint64_t offset, int64_t now_ms);

 private:
  void Thin();

  const std::filesystem::path path_;
  Descriptor file_;
  size_t entries_ = 0;
  int64_t last_ms_ = 0;  // of the last entry
};

// The first byte that was written at `since_ms` or later, or one a little before it; `end` if there
// is none. Where there is no such file, 0.
uint64_t OffsetSince(const std::filesystem::path& path, int64_t since_ms, uint64_t end);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOG_TIMES_H_
