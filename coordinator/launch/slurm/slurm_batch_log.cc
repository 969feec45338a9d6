#include "coordinator/launch/slurm/slurm_batch_log.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

// Of what was written before there was a supervisor: some lines of the batch script's.
constexpr uint64_t kLongestBeginning = uint64_t{1} << 20;
constexpr int kLookMs = 100;
// For what is in the pipe when the log is closed.
constexpr int64_t kDrainMs = 5'000;

void BecomeStandardOutput(int file) {
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
}

}  // namespace

absl::Status SlurmBatchLog::Open(const std::filesystem::path& path, int64_t limit_bytes) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  Descriptor reading(ends[0]), writing(ends[1]);
  // One that doesn't wait, for this process alone: it has ranks to end, whatever becomes of the
  // log.
  const Descriptor own(open(fmt::format("/proc/self/fd/{}", writing.get()).c_str(),
                            O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!own.is_open()) return absl::ErrnoToStatus(errno, "/proc/self/fd");
  const auto beginning = ReadFile(path, kLongestBeginning);
  LogSpool spool(path, limit_bytes);
  if (beginning.ok()) spool.Append(*beginning);
  BecomeStandardOutput(own.get());
  reading_ = std::move(reading);
  writing_ = std::move(writing);
  thread_ = std::thread([this, spool = std::move(spool)]() mutable { Run(std::move(spool)); });
  return absl::OkStatus();
}

void SlurmBatchLog::Close() {
  if (!thread_.joinable()) return;
  const Descriptor nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
  BecomeStandardOutput(nowhere.get());
  writing_.Close();
  closing_ = true;
  thread_.join();
}

void SlurmBatchLog::Run(LogSpool spool) {
  char piece[64 << 10];
  int64_t give_up_ms = 0;
  for (;;) {
    pollfd ready = {reading_.get(), POLLIN, 0};
    const bool is_ready = poll(&ready, 1, kLookMs) > 0;
    if (closing_) {
      if (give_up_ms == 0) give_up_ms = SteadyMs() + kDrainMs;
      // Who was left behind and holds the pipe open isn't waited for.
      if (!is_ready || SteadyMs() > give_up_ms) return;
    }
    if (!is_ready) continue;
    const ssize_t size = read(reading_.get(), piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    spool.Append(std::string_view(piece, static_cast<size_t>(size)));
  }
}

}  // namespace tanren::coordinator
