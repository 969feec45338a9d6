// An attempt until it is Slurm's: whose it is, what Slurm is asked for, and which job that became.
#include <unistd.h>

#include <algorithm>

#include "coordinator/launch/slurm/slurm_attempt.h"
#include "coordinator/launch/slurm/slurm_end.h"
#include "coordinator/launch/slurm/slurm_records.h"
#include "coordinator/launch/slurm/slurm_request.h"
#include "coordinator/state/cluster.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kFirstRetryMs = 1'000;
constexpr int64_t kLongestRetryMs = 30'000;

}  // namespace

absl::StatusOr<UserIds> SlurmUserOf(const PartSpec& part, const SlurmLauncherOptions& options) {
  if (geteuid() != 0 && options.shared_account) return FindUser("", options.allow_root);
  return FindUser(part.user(), options.allow_root);
}

// The names of users may come from a service that is away, so it is asked again.
bool SlurmAttempt::FindOwner() {
  if (has_owner_) return true;
  const auto user = SlurmUserOf(record_.spec(), options_);
  if (!user.ok()) {
    if (!record_.submit_begun()) {
      End(AttemptEnd::USER_ERROR, std::string(user.status().message()));
    }
    return false;
  }
  user_ = *user;
  files_ = FileUserOf(user_);
  folder_ = SlurmFolder::Of(record_.spec(), files_);
  return has_owner_ = true;
}

void SlurmAttempt::Submit(const std::optional<std::vector<SlurmJob>>& jobs, int64_t now_ms) {
  if (record_.submit_begun()) {
    // sbatch may have done its work without its answer having come here.
    if (!jobs.has_value()) return;
    if (FindSubmitted(*jobs)) return;
  }
  if (record_.has_stop()) return StopWaiting(now_ms);
  if (now_ms < retry_at_ms_) return;
  auto sbatch = SbatchOptions(record_.spec(), options_.request);
  if (!sbatch.ok()) {
    return End(AttemptEnd::USER_ERROR, std::string(sbatch.status().message()));
  }
  if (files_ != nullptr) {
    sbatch->push_back(fmt::format("--uid={}", user_.user));
    sbatch->push_back(fmt::format("--gid={}", user_.group));
  }
  absl::Status status = Prepare();
  if (!status.ok()) {
    const bool users = absl::IsPermissionDenied(status) || absl::IsNotFound(status);
    return End(users ? AttemptEnd::USER_ERROR : AttemptEnd::INFRASTRUCTURE,
               std::string(status.message()));
  }
  if (has_ended()) return;
  record_.set_submit_begun(true);
  if (!save_(record_).ok()) return;  // told where it is saved; tried again in the next round
  const auto id = client_.Submit(*sbatch, {SlurmRecords::BatchScript(options_.state).string(),
                                           options_.program.string(), folder_.path().string()});
  if (!id.ok()) return OnRefusal(id.status(), now_ms);
  record_.mutable_report()->set_slurm_job(*id);
  record_.set_submitted_ms(WallMs());
  LogInfo("attempt {} is Slurm's job {}", TokenText(record_.report().token()), *id);
}

bool SlurmAttempt::FindSubmitted(const std::vector<SlurmJob>& jobs) {
  if (const SlurmJob* job = ChooseJob(jobs)) {
    record_.mutable_report()->set_slurm_job(job->id);
    return true;
  }
  // It may have run, and been forgotten by Slurm.
  const auto claim = folder_.ReadClaim();
  if (!claim.ok() || !claim->has_value() || (*claim)->slurm_job().empty()) return false;
  record_.mutable_report()->set_slurm_job((*claim)->slurm_job());
  return true;
}

absl::Status SlurmAttempt::Prepare() {
  SlurmTask task;
  *task.mutable_part() = record_.spec();
  task.set_program(options_.program.string());
  task.set_worker(options_.worker.string());
  for (const std::string& argument : options_.mpi_arguments) task.add_mpi_arguments(argument);
  for (const auto& [name, value] : options_.mpi_environment) {
    (*task.mutable_mpi_environment())[name] = value;
  }
  task.set_lease_ms(options_.folder_lease_ms);
  task.set_log_limit_bytes(options_.log_limit_bytes);
  task.set_heartbeat_ms(options_.heartbeat_ms);
  TANREN_RETURN_IF_ERROR(folder_.Prepare(task));
  TANREN_ASSIGN_OR_RETURN(const AttemptToken fence, folder_.RaiseFence(record_.spec().token()));
  if (record_.spec().token() < fence) {
    End(AttemptEnd::STOPPED, "superseded by attempt " + TokenText(fence));
  }
  return absl::OkStatus();
}

void SlurmAttempt::OnRefusal(const absl::Status& refusal, int64_t now_ms) {
  if (absl::IsInvalidArgument(refusal)) {
    return End(AttemptEnd::USER_ERROR, std::string(refusal.message()));
  }
  retry_delay_ms_ = std::clamp(retry_delay_ms_ * 2, kFirstRetryMs, kLongestRetryMs);
  retry_at_ms_ = now_ms + retry_delay_ms_;
  LogWarning("attempt {}: {}; tried again", TokenText(record_.report().token()),
             std::string(refusal.message()));
}

// Of several jobs with this attempt's comment (a submission that was made twice) the one that has
// claimed it, or would be the first to: the others are ended.
const SlurmJob* SlurmAttempt::ChooseJob(const std::vector<SlurmJob>& jobs) {
  const std::string comment = SlurmComment(record_.spec().token());
  std::vector<const SlurmJob*> twins;
  for (const SlurmJob& job : jobs) {
    if (job.comment == comment && job.user == user_.user) twins.push_back(&job);
  }
  if (twins.empty()) return nullptr;
  const auto claim = folder_.ReadClaim();
  const SlurmJob* chosen = nullptr;
  for (const SlurmJob* job : twins) {
    const bool claimed = claim.ok() && claim->has_value() && (*claim)->slurm_job() == job->id;
    const bool earlier = chosen == nullptr || job->id.size() < chosen->id.size() ||
                         (job->id.size() == chosen->id.size() && job->id < chosen->id);
    if (claimed) return EndTwins(twins, job);
    if (earlier) chosen = job;
  }
  return EndTwins(twins, chosen);
}

const SlurmJob* SlurmAttempt::EndTwins(const std::vector<const SlurmJob*>& twins,
                                       const SlurmJob* chosen) {
  for (const SlurmJob* job : twins) {
    if (job == chosen || IsFinalSlurmState(job->state) || ended_twins_.contains(job->id)) continue;
    LogWarning("attempt {} was submitted twice: {} stays, {} is ended",
               TokenText(record_.report().token()), chosen->id, job->id);
    if (client_.Cancel(Target(job->id)).ok()) ended_twins_.insert(job->id);
  }
  return chosen;
}

}  // namespace tanren::coordinator
