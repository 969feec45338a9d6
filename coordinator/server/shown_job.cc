#include "coordinator/server/shown_job.h"

#include "coordinator/server/admission.h"

namespace tanren::coordinator {

void HideSecrets(const Caller& caller, Job& job) {
  if (caller.user == job.user() || IsAdmin(caller)) return;
  for (auto& [name, value] : *job.mutable_spec()->mutable_environment()) value = "(hidden)";
}

void HideSecrets(const Caller& caller, HistoryEvent& event) {
  if (event.has_job_submitted()) HideSecrets(caller, *event.mutable_job_submitted()->mutable_job());
}

void ShortenForList(Job& job) {
  if (job.spec().has_recipe()) job.mutable_spec()->mutable_recipe()->clear_recipe();
  job.clear_earlier_attempts();
  if (job.has_attempt()) job.mutable_attempt()->mutable_end()->clear_log_tail();
}

uint64_t JobOf(const HistoryEvent& event) {
  switch (event.kind_case()) {
    case HistoryEvent::kJobSubmitted:
      return event.job_submitted().job().id();
    case HistoryEvent::kJobHeld:
      return event.job_held().job();
    case HistoryEvent::kJobReleased:
      return event.job_released().job();
    case HistoryEvent::kCancelRequested:
      return event.cancel_requested().job();
    case HistoryEvent::kAttemptPlaced:
      return event.attempt_placed().attempt().token().job();
    case HistoryEvent::kAttemptStarting:
      return event.attempt_starting().token().job();
    case HistoryEvent::kAttemptRunning:
      return event.attempt_running().token().job();
    case HistoryEvent::kAttemptStopping:
      return event.attempt_stopping().token().job();
    case HistoryEvent::kAttemptUnknown:
      return event.attempt_unknown().token().job();
    case HistoryEvent::kAttemptFoundAgain:
      return event.attempt_found_again().token().job();
    case HistoryEvent::kPartEnded:
      return event.part_ended().token().job();
    case HistoryEvent::kAttemptEnded:
      return event.attempt_ended().token().job();
    case HistoryEvent::kJobEnded:
      return event.job_ended().job();
    case HistoryEvent::kCheckpointPublished:
      return event.checkpoint_published().token().job();
    case HistoryEvent::kNodeSuspected:
      return event.node_suspected().token().job();
    case HistoryEvent::kJobForgotten:
      return event.job_forgotten().job();
    case HistoryEvent::kJobRequeued:
      return event.job_requeued().job();
    default:
      return 0;
  }
}

}  // namespace tanren::coordinator
