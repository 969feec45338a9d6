// batch.log: what the supervisor of an attempt within Slurm says, and mpirun, as a bounded log.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_BATCH_LOG_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_BATCH_LOG_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <thread>

#include "absl/status/status.h"
#include "coordinator/launch/log_spool.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// The one writer of the log, by a thread of its own: a file system that doesn't answer holds that
// thread up, and what this process says meanwhile is lost. What the log holds already stays.
class SlurmBatchLog {
 public:
  SlurmBatchLog() = default;
  SlurmBatchLog(const SlurmBatchLog&) = delete;
  SlurmBatchLog& operator=(const SlurmBatchLog&) = delete;
  ~SlurmBatchLog() { Close(); }

  // Takes this process's standard output and error, of which it keeps at most `limit_bytes`. After
  // an error they are as they were.
  absl::Status Open(const std::filesystem::path& path, int64_t limit_bytes);
  // For programs to write to; -1 where nothing is open.
  int output() const { return writing_.is_open() ? writing_.get() : -1; }
  // Returns once all that was written is in the log, or after five seconds of programs that write
  // on. What this process says from then on goes nowhere.
  void Close();

 private:
  void Run(LogSpool spool);

  Descriptor reading_;
  Descriptor writing_;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_BATCH_LOG_H_
