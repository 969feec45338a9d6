// What a batch job's supervisor does on the shared folder while the ranks run: shows that it lives,
// sees what the agent wants, and whether a later attempt has taken over.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_WATCH_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_WATCH_H_

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "coordinator/launch/slurm/slurm_folder.h"

namespace tanren::coordinator {

struct SlurmOutlook {
  std::optional<SlurmStop> stop;
  std::string superseded_by;  // a token; empty: nobody
  bool folder_lost = false;   // no beat could be written for a lease's time
};

// Beats from construction to destruction in a thread of its own: a file system that doesn't answer
// holds that thread up, never the caller.
class SlurmWatch {
 public:
  SlurmWatch(SlurmFolder folder, const SlurmTask& task);
  SlurmWatch(const SlurmWatch&) = delete;
  SlurmWatch& operator=(const SlurmWatch&) = delete;
  ~SlurmWatch();

  SlurmOutlook Look() const;

 private:
  void Run();
  void Beat();

  const SlurmFolder folder_;
  const AttemptToken token_;
  const int64_t lease_ms_;
  const int64_t heartbeat_ms_;
  const int32_t ranks_;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  int64_t last_beat_ms_;
  SlurmOutlook outlook_;
  // Of the thread alone.
  SlurmBeat beat_;
  std::thread thread_;
};

// Whether an attempt whose batch job left no record has come to its end: its heart hasn't beaten
// while it was watched for longer than its lease, after which its ranks have ended themselves.
class SlurmPulse {
 public:
  SlurmPulse(SlurmFolder folder, int64_t lease_ms);
  bool IsDead(int64_t now_ms);

 private:
  SlurmFolder folder_;
  int64_t lease_ms_;
  int64_t count_ = -1;
  int64_t since_ms_ = 0;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_WATCH_H_
