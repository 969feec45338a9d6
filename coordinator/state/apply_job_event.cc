#include <utility>

#include "coordinator/state/apply_event.h"
#include "coordinator/state/node_load.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

void Touch(const Job& job, const EventContext& context) {
  context.names.insert({RecordKind::kJob, JobKey(job.id())});
}

absl::Status ApplySubmitted(const EventContext& context) {
  const Job& job = context.event.job_submitted().job();
  Cluster& cluster = context.cluster;
  if (job.id() < cluster.next_job) {
    return absl::InternalError(
        fmt::format("id {} was given before: the next is {}", job.id(), cluster.next_job));
  }
  if (job.state() != PENDING) return absl::InternalError("a job begins PENDING");
  cluster.next_job = job.id() + 1;
  AddToIndices(cluster.jobs[job.id()] = job, cluster);
  Touch(job, context);
  return absl::OkStatus();
}

absl::Status ApplyHeld(const EventContext& context) {
  const auto& held = context.event.job_held();
  TANREN_ASSIGN_OR_RETURN(Job * job, LivingJob(held.job(), context.cluster));
  job->set_held(true);
  job->set_hold_reason(held.reason());
  Touch(*job, context);
  return absl::OkStatus();
}

// Whoever releases a job thinks that what it failed for is mended: its budget is whole again.
absl::Status ApplyReleased(const EventContext& context) {
  TANREN_ASSIGN_OR_RETURN(Job * job,
                          LivingJob(context.event.job_released().job(), context.cluster));
  if (job->held()) job->set_failures(0);
  job->set_held(false);
  job->clear_hold_reason();
  job->set_not_before_ms(0);
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyCancelRequested(const EventContext& context) {
  const auto& cancel = context.event.cancel_requested();
  TANREN_ASSIGN_OR_RETURN(Job * job, LivingJob(cancel.job(), context.cluster));
  job->set_cancel_requested(true);
  if (job->end_message().empty()) job->set_end_message("cancelled by " + cancel.by());
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyEnded(const EventContext& context) {
  const auto& ended = context.event.job_ended();
  TANREN_ASSIGN_OR_RETURN(Job * job, LivingJob(ended.job(), context.cluster));
  if (job->state() != PENDING) {
    return absl::InternalError(
        fmt::format("job {} can't end: it is {}", job->id(), JobState_Name(job->state())));
  }
  if (!IsTerminal(ended.state())) {
    return absl::InternalError(fmt::format("{} is no end", JobState_Name(ended.state())));
  }
  RemoveFromIndices(*job, context.cluster);
  job->set_state(ended.state());
  job->set_ended_ms(context.event.time_ms());
  job->set_end_message(ended.message());
  AddToIndices(*job, context.cluster);
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyForgotten(const EventContext& context) {
  const uint64_t id = context.event.job_forgotten().job();
  const auto found = context.cluster.jobs.find(id);
  if (found == context.cluster.jobs.end() || !IsTerminal(found->second.state())) {
    return absl::InternalError(fmt::format("job {} has not ended", id));
  }
  Touch(found->second, context);
  RemoveFromIndices(found->second, context.cluster);
  context.cluster.jobs.erase(found);
  return absl::OkStatus();
}

absl::Status ApplyRequeued(const EventContext& context) {
  TANREN_ASSIGN_OR_RETURN(Job * job,
                          LivingJob(context.event.job_requeued().job(), context.cluster));
  job->set_not_before_ms(0);
  Touch(*job, context);
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyJobEvent(const EventContext& context) {
  switch (context.event.kind_case()) {
    case HistoryEvent::kJobSubmitted:
      return ApplySubmitted(context);
    case HistoryEvent::kJobHeld:
      return ApplyHeld(context);
    case HistoryEvent::kJobReleased:
      return ApplyReleased(context);
    case HistoryEvent::kCancelRequested:
      return ApplyCancelRequested(context);
    case HistoryEvent::kJobEnded:
      return ApplyEnded(context);
    case HistoryEvent::kJobForgotten:
      return ApplyForgotten(context);
    default:
      return ApplyRequeued(context);
  }
}

}  // namespace tanren::coordinator
