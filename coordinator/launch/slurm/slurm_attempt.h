// One attempt as a batch job of Slurm, from the agent's side: submits it, follows it, ends it.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ATTEMPT_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ATTEMPT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/launch/account.h"
#include "coordinator/launch/run_progress.h"
#include "coordinator/launch/slurm/acting_as.h"
#include "coordinator/launch/slurm/slurm_client.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_launcher.h"
#include "coordinator/launch/slurm/slurm_watch.h"
#include "proto/slurm.pb.h"

namespace tanren::coordinator {

// Whom a part's processes run as. Errors as of FindUser.
absl::StatusOr<UserIds> SlurmUserOf(const PartSpec& part, const SlurmLauncherOptions& options);

// Not thread-safe; Slurm's commands run inside its calls. Times are CLOCK_BOOTTIME, milliseconds.
class SlurmAttempt {
 public:
  // `save` makes a record durable: before anything is asked of Slurm that a restart must know of.
  SlurmAttempt(SlurmPart record, const SlurmLauncherOptions& options, const SlurmClient& client,
               std::function<absl::Status(const SlurmPart&)> save);

  const SlurmPart& record() const { return record_; }
  bool has_ended() const { return record_.report().state() == PART_ENDED; }
  const SlurmFolder& folder() const { return folder_; }
  std::string name() const { return SlurmJobName(record_.spec()); }

  void AskToStop(const SlurmStop& stop);
  // One round. `jobs`: what squeue has of this name; nothing: Slurm couldn't be asked, and what was
  // known of the attempt stays so.
  void Advance(const std::optional<std::vector<SlurmJob>>& jobs, int64_t now_ms);

 private:
  SlurmTarget Target(const std::string& id) const { return {id, name(), user_.user}; }
  // False, and the attempt has ended or waits, if its user isn't known here.
  bool FindOwner();
  void Submit(const std::optional<std::vector<SlurmJob>>& jobs, int64_t now_ms);
  bool FindSubmitted(const std::vector<SlurmJob>& jobs);
  absl::Status Prepare();
  void OnRefusal(const absl::Status& refusal, int64_t now_ms);
  void Follow(const std::optional<std::vector<SlurmJob>>& jobs, int64_t now_ms);
  const SlurmJob* ChooseJob(const std::vector<SlurmJob>& jobs);
  const SlurmJob* EndTwins(const std::vector<const SlurmJob*>& twins, const SlurmJob* chosen);
  void FollowLiving(const SlurmJob& job, int64_t now_ms);
  void TellReason(const SlurmJob& job, int64_t now_ms);
  void FollowRecordAlone(int64_t now_ms);
  // `job`: what squeue has of it; null: nothing, and for long.
  void FollowGone(const SlurmJob* job, int64_t now_ms);
  bool IsForgotten(int64_t now_ms);
  bool MayStillLive(const std::string& state, int64_t now_ms);
  void StopLiving(const SlurmJob& job, int64_t now_ms);
  void StopWaiting(int64_t now_ms);
  bool Withdraw();
  void ReadProgress(int64_t now_ms);
  void SetState(PartState state);
  void End(AttemptEnd end);
  void End(AttemptEnd::Kind kind, const std::string& message);

  SlurmPart record_;
  const SlurmLauncherOptions& options_;
  const SlurmClient& client_;
  const std::function<absl::Status(const SlurmPart&)> save_;
  bool has_owner_ = false;
  UserIds user_;
  std::shared_ptr<const FileUser> files_;
  SlurmFolder folder_;
  std::optional<RunProgress> progress_;
  uint64_t events_read_ = 0;
  std::optional<SlurmPulse> pulse_;

  int64_t retry_at_ms_ = 0;
  int64_t retry_delay_ms_ = 0;
  int64_t missing_since_ms_ = 0;  // squeue doesn't show it; 0: it does
  int missing_answers_ = 0;
  std::string reason_;  // that squeue gives for its waiting
  int64_t reason_since_ms_ = 0;
  int64_t gone_since_ms_ = 0;    // Slurm says that it ended; 0: not yet
  int64_t record_since_ms_ = 0;  // its record was seen; 0: not yet
  int64_t stop_since_ms_ = 0;
  bool stop_told_ = false;
  std::string claimed_by_;    // the job that had claimed it in an earlier round
  bool requeued_ = false;     // by hand
  int64_t cancel_at_ms_ = 0;  // the next scancel
  std::set<std::string> ended_twins_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_ATTEMPT_H_
