#include "coordinator/launch/slurm/slurm_attempt.h"

#include <algorithm>

#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/slurm/slurm_end.h"
#include "coordinator/state/cluster.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/base/terminal.h"
#include "runtime/telemetry/event_log.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kCancelEveryMs = 10'000;
// squeue's, before a job counts as forgotten.
constexpr int kAnswersWithoutIt = 3;
constexpr size_t kLongestReason = 200;
// What the supervisor takes between an order to stop and the record of its end.
constexpr int64_t kStopSlackMs = 15'000;

bool Saves(const SlurmStop& stop) {
  return stop.grace_ms() > 0 && stop.reason() != CANCELLED_BY_USER && stop.reason() != FENCED &&
         stop.reason() != HANG;
}

}  // namespace

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

void SlurmAttempt::Advance(const std::optional<std::vector<SlurmJob>>& jobs, int64_t now_ms) {
  if (has_ended() || !FindOwner()) return;
  if (record_.has_stop() && stop_since_ms_ == 0) stop_since_ms_ = now_ms;
  // `jobs` is from before a submission: only the next round's tells of it.
  if (record_.report().slurm_job().empty()) return Submit(jobs, now_ms);
  Follow(jobs, now_ms);
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
  TellReason(job, now_ms);
  if (record_.has_stop()) StopLiving(job, now_ms);
  // Somebody had Slurm requeue it: it would find the attempt claimed, and do nothing. What `job`
  // says is older than what the folder says now: only a claim that was there before counts.
  const bool waits = !IsRunningSlurmState(job.state) && job.state != "COMPLETING";
  const bool requeued = waits && claimed_by_ == job.id;
  const auto claim = folder_.ReadClaim();
  if (claim.ok() && claim->has_value()) claimed_by_ = (*claim)->slurm_job();
  if (!requeued) return;
  requeued_ = true;
  if (now_ms >= cancel_at_ms_) {
    LogWarning("Slurm's job {} was requeued, which the coordinator does; it is ended", job.id);
    cancel_at_ms_ = now_ms + kCancelEveryMs;
    [[maybe_unused]] const absl::Status cancelled = client_.Cancel(Target(job.id));
  }
}

void SlurmAttempt::TellReason(const SlurmJob& job, int64_t now_ms) {
  PartReport& report = *record_.mutable_report();
  const bool waits = job.state == "PENDING" && report.state() == PART_STARTING;
  if (!waits) return report.clear_slurm_reason();
  if (job.reason != reason_) {
    reason_ = job.reason;
    reason_since_ms_ = now_ms;
  }
  // "None": Slurm hasn't looked at it yet.
  if (reason_ == "None" || now_ms - reason_since_ms_ < options_.reason_holds_ms) return;
  report.set_slurm_reason(OnOneLine(reason_.substr(0, kLongestReason)));
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

void SlurmAttempt::End(AttemptEnd::Kind kind, const std::string& message) {
  AttemptEnd end;
  end.set_kind(kind);
  end.set_rank(-1);
  end.set_message(message);
  End(std::move(end));
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
