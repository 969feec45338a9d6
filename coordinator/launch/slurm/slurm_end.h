// What an attempt's end under Slurm amounts to: pure functions of what was found.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_END_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_END_H_

#include <optional>
#include <string>
#include <vector>

#include "coordinator/launch/slurm/slurm_client.h"
#include "proto/slurm.pb.h"

namespace tanren::coordinator {

// What the batch job knows when its last process has ended.
struct SlurmRunFound {
  bool recipe = true;  // the worker ran, whose exit codes are known
  int exit_code = 0;   // of the first worker group that ended badly, 0 if none did
  std::vector<SlurmRankExit> ranks;
  std::optional<StopReason> stop;  // the agent asked for it
  bool ended_by_slurm = false;     // SIGTERM that nobody else had asked for
  std::string superseded_by;       // a token
  bool folder_lost = false;        // the shared folder couldn't be written for a lease's time
  std::string last_words;          // the worker's message of the run's end
};
AttemptEnd EndOfSlurmRun(const SlurmRunFound& found);

// The rank whose end took the others along: the first by time that ended badly, of those that
// nobody told to if there is one (clocks of nodes differ). Null if none ended badly.
const SlurmRankExit* FirstBadRank(const std::vector<SlurmRankExit>& ranks);

// Whether a job in this state has ended, by squeue's and sacct's names; and whether it runs.
bool IsFinalSlurmState(const std::string& state);
bool IsRunningSlurmState(const std::string& state);

// What the agent makes of a job that Slurm has ended or forgotten.
struct SlurmJobFound {
  std::string state;  // Slurm's last word; empty: it has forgotten the job
  std::string reason;
  std::optional<SlurmExit> exit;
  bool withdrawn = false;          // the agent claimed the attempt: nothing ran
  std::optional<StopReason> stop;  // what the agent had asked for
};
AttemptEnd EndOfSlurmJob(const SlurmJobFound& found);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_END_H_
