// What people do to jobs: cancel, hold, release, requeue.
#include <utility>

#include "coordinator/state/core.h"
#include "coordinator/state/request_fingerprint.h"
#include "coordinator/state/spec_check.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

std::string By(const ChangeJobInput& input) {
  return input.reason.empty() ? input.user : fmt::format("{}: {}", input.user, input.reason);
}

std::string_view NameOf(ChangeJobInput::Kind kind) {
  switch (kind) {
    case ChangeJobInput::Kind::kCancel:
      return "cancel";
    case ChangeJobInput::Kind::kHold:
      return "hold";
    case ChangeJobInput::Kind::kRelease:
      return "release";
    case ChangeJobInput::Kind::kRequeue:
      break;
  }
  return "requeue";
}

}  // namespace

void Core::Handle(const ChangeJobInput& input) {
  outcome_.status = CheckRequestId(input.request_id);
  if (!outcome_.status.ok()) return;
  const uint64_t fingerprint =
      RequestFingerprint(NameOf(input.kind), fmt::format("{} {}", input.job, input.reason));
  if (AnswerAgain(input.user, input.request_id, fingerprint)) return;
  const Job* job = cluster_.FindJob(input.job);
  if (job == nullptr) {
    outcome_.status = cluster_.NoJob(input.job);
    return;
  }
  if (job->user() != input.user && !input.admin) {
    outcome_.status =
        absl::PermissionDeniedError(fmt::format("job {} is {}'s: to {} it takes an administrator",
                                                input.job, job->user(), NameOf(input.kind)));
    return;
  }
  HistoryEvent event = NewEvent();
  event.set_request(input.user + "/" + input.request_id);
  event.set_request_fingerprint(fingerprint);
  outcome_.status = ChangeJob(input, *job, std::move(event));
  if (outcome_.status.ok()) outcome_.jobs = {input.job};
}

absl::Status Core::ChangeJob(const ChangeJobInput& input, const Job& job, HistoryEvent event) {
  if (IsTerminal(job.state())) {
    const bool is_so = input.kind == ChangeJobInput::Kind::kCancel && job.state() == CANCELLED;
    if (is_so) return absl::OkStatus();
    return absl::FailedPreconditionError(
        fmt::format("job {} is {} already: that is final", job.id(), JobState_Name(job.state())));
  }
  switch (input.kind) {
    case ChangeJobInput::Kind::kCancel:
      Cancel(job, std::move(event), By(input));
      break;
    case ChangeJobInput::Kind::kHold:
      event.mutable_job_held()->set_job(job.id());
      event.mutable_job_held()->set_reason("held by " + By(input));
      Emit(std::move(event));
      break;
    case ChangeJobInput::Kind::kRelease:
      event.mutable_job_released()->set_job(job.id());
      Emit(std::move(event));
      break;
    case ChangeJobInput::Kind::kRequeue:
      event.mutable_job_requeued()->set_job(job.id());
      event.mutable_job_requeued()->set_by(By(input));
      Emit(std::move(event));
      if (HoldsNodes(job.state()) && job.attempt().stop_reason() == STOP_REASON_UNSPECIFIED) {
        Stop(job, REQUEUED_BY_USER, By(input));
      }
      break;
  }
  return outcome_.status;
}

void Core::Cancel(const Job& job, HistoryEvent event, const std::string& by) {
  event.mutable_cancel_requested()->set_job(job.id());
  event.mutable_cancel_requested()->set_by(by);
  if (!Emit(std::move(event))) return;
  if (job.state() == PENDING) return EndJob(job.id(), CANCELLED, "cancelled by " + by);
  if (job.attempt().stop_reason() != CANCELLED_BY_USER) Stop(job, CANCELLED_BY_USER, by);
}

}  // namespace tanren::coordinator
