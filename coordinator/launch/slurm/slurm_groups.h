// The processes of a batch job's ranks: an mpirun for each role, or the one rank itself.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_GROUPS_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_GROUPS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "proto/slurm.pb.h"

namespace tanren::coordinator {

// Of a process that is a subreaper (PR_SET_CHILD_SUBREAPER) and has no children but these: what the
// ranks leave behind is ended with them. Not thread-safe. Times are CLOCK_BOOTTIME, milliseconds.
class SlurmGroups {
 public:
  // Each group that ends is told of on standard error.
  SlurmGroups() = default;

  // Starts the ranks of all roles in this job's allocation, which the environment names, with a
  // descriptor for what mpirun says. After an error some may run.
  absl::Status Start(const SlurmFolder& folder, const SlurmTask& task, int output);
  // Takes note of what has ended.
  void Reap();
  bool AllEnded() const;
  // All groups and everything that they left behind.
  bool NothingLives() const;
  // Of the first group that ended badly; 0 if none did.
  int ExitCode() const;
  bool empty() const { return groups_.empty(); }

  // SIGUSR1, once.
  void AskToSave();
  // SIGTERM, once; what lives some seconds later is killed, and another two seconds later what they
  // have left behind: the keepers of ranks have seen to theirs by then.
  void End(int64_t now_ms);
  bool end_asked() const { return kill_at_ms_ != 0; }
  void KillOverdue(int64_t now_ms);

 private:
  struct Group {
    std::string role;
    pid_t process = -1;
    bool ended = false;
    int code = 0;
  };

  std::vector<Group> groups_;
  bool save_asked_ = false;
  int64_t kill_at_ms_ = 0;  // 0: not asked to end
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_GROUPS_H_
