#include "coordinator/launch/slurm/slurm_attempt.h"

#include <unistd.h>

#include <algorithm>

#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/slurm/slurm_end.h"
#include "coordinator/launch/slurm/slurm_records.h"
#include "coordinator/state/cluster.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/telemetry/event_log.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kFirstRetryMs = 1'000;
constexpr int64_t kLongestRetryMs = 30'000;
constexpr int64_t kCancelEveryMs = 10'000;
// squeue's, before a job counts as forgotten.
constexpr int kAnswersWithoutIt = 3;
// What the supervisor takes between an order to stop and the record of its end.
constexpr int64_t kStopSlackMs = 15'000;

AttemptEnd Ended(AttemptEnd::Kind kind, std::string message) {
  AttemptEnd end;
  end.set_kind(kind);
  end.set_rank(-1);
  end.set_message(std::move(message));
  return end;
}

bool Saves(const SlurmStop& stop) {
  return stop.grace_ms() > 0 && stop.reason() != CANCELLED_BY_USER && stop.reason() != FENCED &&
         stop.reason() != HANG;
}

}  // namespace

absl::StatusOr<UserIds> SlurmUserOf(const PartSpec& part, const SlurmLauncherOptions& options) {
  if (geteuid() != 0 && options.shared_account) return FindUser("", options.allow_root);
  return FindUser(part.user(), options.allow_root);
}

SlurmAttempt::SlurmAttempt(SlurmPart record, const SlurmLauncherOptions& options,
                           const SlurmClient& client,
                           std::function<absl::Status(const SlurmPart&)> save)
    : record_(std::move(record)),
      options_(options),
      client_(client),
      save_(std::move(save)),
      folder_(SlurmFolder::Of(record_.spec())) {}

void SlurmAttempt::AskToStop(const SlurmStop& stop) {
  if (has_ended()) return;
  // A harsher order replaces a milder one.
  if (record_.has_stop() && !Saves(record_.stop())) return;
  if (record_.has_stop() && Saves(stop)) return;
  *record_.mutable_stop() = stop;
  stop_told_ = false;
  stop_since_ms_ = 0;
  cancel_at_ms_ = 0;
}

// The names of users may come from a service that is away, so it is asked again.
bool SlurmAttempt::FindOwner() {
  if (has_owner_) return true;
  const auto user = SlurmUserOf(record_.spec(), options_);
  if (!user.ok()) {
    if (!record_.submit_begun()) {
      End(Ended(AttemptEnd::USER_ERROR, std::string(user.status().message())));
    }
    return false;
  }
  user_ = *user;
  files_ = FileUserOf(user_);
  folder_ = SlurmFolder::Of(record_.spec(), files_);
  return has_owner_ = true;
}

void SlurmAttempt::Advance(const std::optional<std::vector<SlurmJob>>& jobs, int64_t now_ms) {
  if (has_ended() || !FindOwner()) return;
  if (record_.has_stop() && stop_since_ms_ == 0) stop_since_ms_ = now_ms;
  // `jobs` is from before a submission: only the next round's tells of it.
  if (record_.report().slurm_job().empty()) return Submit(jobs, now_ms);
  Follow(jobs, now_ms);
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
    return End(Ended(AttemptEnd::USER_ERROR, std::string(sbatch.status().message())));
  }
  if (files_ != nullptr) {
    sbatch->push_back(fmt::format("--uid={}", user_.user));
    sbatch->push_back(fmt::format("--gid={}", user_.group));
  }
  absl::Status status = Prepare();
  if (!status.ok()) {
    const bool users = absl::IsPermissionDenied(status) || absl::IsNotFound(status);
    return End(Ended(users ? AttemptEnd::USER_ERROR : AttemptEnd::INFRASTRUCTURE,
                     std::string(status.message())));
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
    End(Ended(AttemptEnd::STOPPED, "superseded by attempt " + TokenText(fence)));
  }
  return absl::OkStatus();
}

void SlurmAttempt::OnRefusal(const absl::Status& refusal, int64_t now_ms) {
  if (absl::IsInvalidArgument(refusal)) {
    return End(Ended(AttemptEnd::USER_ERROR, std::string(refusal.message())));
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

void SlurmAttempt::Follow(const std::optional<std::vector<SlurmJob>>& jobs, int64_t now_ms) {
  ReadProgress(now_ms);
  if (!jobs.has_value()) return FollowRecordAlone(now_ms);
  const SlurmJob* job = ChooseJob(*jobs);
  if (job == nullptr) {
    if (IsForgotten(now_ms)) return FollowGone(nullptr, now_ms);
    return FollowRecordAlone(now_ms);
  }
  missing_since_ms_ = 0;
  missing_answers_ = 0;
  record_.mutable_report()->set_slurm_job(job->id);
  if (IsFinalSlurmState(job->state)) return FollowGone(job, now_ms);
  gone_since_ms_ = 0;
  FollowLiving(*job, now_ms);
}

// What has left its record has ended, whatever squeue shows later.
bool SlurmAttempt::IsForgotten(int64_t now_ms) {
  const auto exit = folder_.ReadExit();
  if (exit.ok() && exit->has_value()) return true;
  if (missing_since_ms_ == 0) missing_since_ms_ = now_ms;
  ++missing_answers_;
  return missing_answers_ >= kAnswersWithoutIt &&
         now_ms - missing_since_ms_ >= options_.forgotten_after_ms;
}

// Slurm's controller may be away for long; a job that has left its record has ended all the same.
void SlurmAttempt::FollowRecordAlone(int64_t now_ms) {
  const auto exit = folder_.ReadExit();
  if (!exit.ok() || !exit->has_value()) {
    if (!record_.has_stop()) return;
    // Whether Slurm answers or not: what hasn't begun never will, and the supervisor of what has
    // reads in the folder what is wanted.
    if (Withdraw()) return StopWaiting(now_ms);
    SetState(PART_STOPPING);
    if (!stop_told_) stop_told_ = folder_.WriteStop(record_.stop()).ok();
    return;
  }
  if (record_since_ms_ == 0) record_since_ms_ = now_ms;
  SetState(PART_STOPPING);
  if (now_ms - record_since_ms_ < options_.record_trust_ms) return;
  SlurmJobFound found;
  found.exit = **exit;
  if (record_.has_stop()) found.stop = record_.stop().reason();
  End(EndOfSlurmJob(found));
}

void SlurmAttempt::FollowLiving(const SlurmJob& job, int64_t now_ms) {
  const auto exit = folder_.ReadExit();
  const bool has_record = exit.ok() && exit->has_value();
  if (job.state == "COMPLETING" || has_record) {
    SetState(PART_STOPPING);
  } else if (IsRunningSlurmState(job.state)) {
    const auto beat = folder_.ReadBeat();
    if (!record_.has_stop() && beat.ok() && beat->has_value() && (*beat)->running()) {
      SetState(PART_RUNNING);
    }
  }
  if (record_.has_stop()) StopLiving(job, now_ms);
  // Somebody had Slurm requeue it: it would find the attempt claimed, and do nothing.
  const auto claim = folder_.ReadClaim();
  const bool requeued = !IsRunningSlurmState(job.state) && job.state != "COMPLETING" &&
                        claim.ok() && claim->has_value() && (*claim)->slurm_job() == job.id;
  if (!requeued) return;
  requeued_ = true;
  if (now_ms >= cancel_at_ms_) {
    LogWarning("Slurm's job {} was requeued, which the coordinator does; it is ended", job.id);
    cancel_at_ms_ = now_ms + kCancelEveryMs;
    [[maybe_unused]] const absl::Status cancelled = client_.Cancel(Target(job.id));
  }
}

void SlurmAttempt::StopLiving(const SlurmJob& job, int64_t now_ms) {
  if (!IsRunningSlurmState(job.state) && job.state != "COMPLETING") return StopWaiting(now_ms);
  SetState(PART_STOPPING);
  if (!stop_told_) {
    stop_told_ = folder_.WriteStop(record_.stop()).ok();
    // The folder tells it too; the signal tells it now.
    if (Saves(record_.stop()) && job.state == "RUNNING") {
      [[maybe_unused]] const absl::Status told = client_.SignalToSave(Target(job.id));
    }
  }
  const int64_t patience = Saves(record_.stop()) ? record_.stop().grace_ms() + kStopSlackMs : 0;
  if (now_ms - stop_since_ms_ < patience || now_ms < cancel_at_ms_) return;
  cancel_at_ms_ = now_ms + kCancelEveryMs;
  [[maybe_unused]] const absl::Status cancelled = client_.Cancel(Target(job.id));
}

// It hasn't begun: with the claim in our hands it never will, whatever Slurm does.
void SlurmAttempt::StopWaiting(int64_t now_ms) {
  SetState(PART_STOPPING);
  if (!Withdraw()) return;
  const std::string& id = record_.report().slurm_job();
  const bool gone = id.empty() || client_.Cancel(Target(id)).ok();
  if (!gone && now_ms - stop_since_ms_ < options_.record_trust_ms) return;
  SlurmJobFound found;
  found.withdrawn = true;
  found.stop = record_.stop().reason();
  End(EndOfSlurmJob(found));
}

bool SlurmAttempt::Withdraw() {
  if (record_.withdrawn()) return true;
  // Never submitted: there is nobody to keep away, and perhaps no folder.
  if (!record_.submit_begun()) return true;
  SlurmClaim claim;
  claim.set_claimed_ms(WallMs());
  const auto claimed = folder_.Claim(claim);
  if (claimed.ok() && *claimed) record_.set_withdrawn(true);
  return record_.withdrawn();
}

void SlurmAttempt::FollowGone(const SlurmJob* job, int64_t now_ms) {
  SetState(PART_STOPPING);
  if (gone_since_ms_ == 0) gone_since_ms_ = now_ms;
  SlurmJobFound found;
  if (job != nullptr) found.state = requeued_ ? "REQUEUED" : job->state;
  if (record_.has_stop()) found.stop = record_.stop().reason();
  const auto exit = folder_.ReadExit();
  if (exit.ok()) found.exit = *exit;
  const SlurmTarget target = Target(record_.report().slurm_job());
  const auto ask_accounting = [&] {
    if (!found.state.empty()) return;
    if (const auto account = client_.Account(target)) found.state = account->state;
  };
  if (found.exit.has_value()) {
    if (found.exit->ended_by_slurm()) ask_accounting();
  } else if (!Withdraw()) {
    // It ran, and its record isn't here, or not yet.
    if (now_ms - gone_since_ms_ < options_.record_wait_ms) return;
    ask_accounting();
    if (MayStillLive(found.state, now_ms)) return;
  } else if (job == nullptr) {
    // Should Slurm have it after all, it isn't to wait in vain.
    [[maybe_unused]] const absl::Status cancelled = client_.Cancel(target);
  }
  found.withdrawn = record_.withdrawn();
  End(EndOfSlurmJob(found));
}

// Slurm counts a node that it can't reach as ended, and what it has forgotten it says nothing of.
// What lives there is told to end, and has done so once its heart stands still.
bool SlurmAttempt::MayStillLive(const std::string& state, int64_t now_ms) {
  if (!state.empty() && state != "NODE_FAIL" && state != "BOOT_FAIL") return false;
  if (!stop_told_) {
    SlurmStop stop;
    stop.set_reason(NODE_LOST);
    stop_told_ = folder_.WriteStop(stop).ok();
  }
  if (!pulse_.has_value()) pulse_.emplace(folder_, options_.folder_lease_ms);
  return !pulse_->IsDead(now_ms);
}

void SlurmAttempt::ReadProgress(int64_t now_ms) {
  const PartSpec& spec = record_.spec();
  const std::filesystem::path run = SlurmFolder::RunFolder(spec);
  if (record_.report().state() == PART_STARTING) return;
  if (!progress_.has_value()) {
    progress_.emplace(spec.token().attempt(), run.string(), spec.spec().restart().hang_after_ms(),
                      now_ms);
  }
  const auto read = [&] {
    const ActingAs acting(files_);
    return ReadEvents(run / "events.pb", events_read_);
  }();
  if (read.ok()) {
    events_read_ = read->end;
    for (const Event& event : read->events) progress_->OnEvent(event, now_ms, WallMs());
  }
  PartReport& report = *record_.mutable_report();
  if (progress_->progress()) *report.mutable_progress() = *progress_->progress();
  if (progress_->checkpoint()) *report.mutable_checkpoint() = *progress_->checkpoint();
  report.set_hung(report.state() == PART_RUNNING && progress_->IsHung(now_ms));
}

void SlurmAttempt::SetState(PartState state) {
  // Only forwards.
  if (record_.report().state() < state) record_.mutable_report()->set_state(state);
}

void SlurmAttempt::End(AttemptEnd end) {
  // The last events, a checkpoint's among them, may have come after the last round.
  if (record_.report().state() != PART_STARTING) ReadProgress(SteadyMs());
  PartReport& report = *record_.mutable_report();
  report.set_state(PART_ENDED);
  report.set_hung(false);
  *report.mutable_end() = std::move(end);
  record_.mutable_spec()->mutable_spec()->clear_environment();  // it isn't needed any more
  LogInfo("attempt {} ended in Slurm: {} {}", TokenText(report.token()),
          AttemptEnd::Kind_Name(report.end().kind()), report.end().message());
}

}  // namespace tanren::coordinator
