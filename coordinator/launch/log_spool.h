// What a rank wrote, byte for byte, as long as there is room: a row of files, each named by the
// offset of its first byte, of which the oldest go. An offset names the same byte for ever.
#ifndef TANREN_COORDINATOR_LAUNCH_LOG_SPOOL_H_
#define TANREN_COORDINATOR_LAUNCH_LOG_SPOOL_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "coordinator/launch/log_times.h"
#include "proto/coordinator.pb.h"
#include "runtime/base/clock.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// Of each rank's log, unless an agent is told otherwise.
inline constexpr int64_t kDefaultLogLimitBytes = int64_t{256} << 20;

// "<role>.<rank>.log" below `logs`, and for the words of mpirun itself (rank -1)
// "<role>.launcher.log". Later files of the row: "+<offset>" before ".log".
std::filesystem::path LogPath(const std::filesystem::path& logs, std::string_view role, int rank);

// The one writer.
class LogSpool {
 public:
  // Keeps between 3/4 of `limit_bytes` and all of it. `wall_ms` tells the time, since the epoch,
  // that its bytes are found by.
  LogSpool(std::filesystem::path path, int64_t limit_bytes,
           std::function<int64_t()> wall_ms = WallMs);

  // What the disk doesn't take is lost, counted in its offset, and declared as a gap.
  void Append(std::string_view bytes);
  uint64_t end() const { return end_; }

 private:
  bool BeginFile();

  const std::filesystem::path path_;
  const uint64_t file_bytes_;
  const std::function<int64_t()> wall_ms_;
  LogTimes times_;
  Descriptor file_;
  uint64_t file_begin_ = 0;
  uint64_t end_ = 0;
};

// Bytes from `offset` on (with tail_bytes: from so many before the end; with since_ms: from what
// was written then; the request's `limit`, at most 1 MiB), of one file of the row. `gap` if what
// the offset named is gone; the answer's offset is where its data begin. `ended`: no more can come.
// kNotFound if nothing was ever written and the spool isn't `ended`.
absl::StatusOr<LogChunk> ReadSpool(const std::filesystem::path& path, const ReadLogChunk& request,
                                   bool ended);

// At most so many of the last bytes.
std::string SpoolTail(const std::filesystem::path& path, size_t bytes);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOG_SPOOL_H_
