#include "coordinator/state/apply_event.h"

#include <algorithm>
#include <string>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

// Attempts of an older epoch that the restored store knows nothing of have numbers, and folders, of
// their own: those of the new epoch begin far beyond.
constexpr uint32_t kAttemptsLeftToThePast = 1000;

// What held nodes under an older epoch is fenced: it goes on as an attempt of the new one, once
// nothing of it lives.
absl::Status ApplyEpochBegan(const EventContext& context) {
  const auto& began = context.event.epoch_began();
  Cluster& cluster = context.cluster;
  if (began.epoch() <= cluster.epoch) {
    return absl::InternalError(
        fmt::format("epoch {} doesn't follow epoch {}", began.epoch(), cluster.epoch));
  }
  cluster.unsettled = cluster.next_job > 1;
  cluster.epoch = began.epoch();
  cluster.next_job = std::max(cluster.next_job, began.next_job());
  for (auto& [id, job] : cluster.jobs) {
    if (IsTerminal(job.state())) continue;
    job.set_attempts(job.attempts() + kAttemptsLeftToThePast);
    context.names.insert({RecordKind::kJob, JobKey(id)});
    if (!HoldsNodes(job.state())) continue;
    if (job.state() != UNKNOWN) job.set_state(STOPPING);
    job.mutable_attempt()->set_stop_reason(FENCED);
    job.mutable_attempt()->set_stopping_ms(context.event.time_ms());
  }
  return absl::OkStatus();
}

absl::Status ApplyQuotaSet(const EventContext& context) {
  const Quota& quota = context.event.quota_set().quota();
  if (quota.subject().empty()) return absl::InternalError("a quota without a subject");
  Quota nothing;
  nothing.set_subject(quota.subject());
  if (Serialized(quota) == Serialized(nothing)) {
    context.cluster.quotas.erase(quota.subject());
  } else {
    context.cluster.quotas[quota.subject()] = quota;
  }
  context.names.insert({RecordKind::kQuota, quota.subject()});
  return absl::OkStatus();
}

absl::Status ApplyRequestsForgotten(const EventContext& context) {
  const int64_t before_ms = context.event.requests_forgotten().before_ms();
  Cluster& cluster = context.cluster;
  auto& by_time = cluster.requests_by_time;
  while (!by_time.empty() && by_time.begin()->first < before_ms) {
    const std::string key = by_time.begin()->second;
    by_time.erase(by_time.begin());
    cluster.requests.erase(key);
    context.names.insert({RecordKind::kRequest, key});
  }
  cluster.requests_forgotten_before_ms = std::max(cluster.requests_forgotten_before_ms, before_ms);
  return absl::OkStatus();
}

void RememberRequest(const EventContext& context) {
  const HistoryEvent& event = context.event;
  if (event.request().empty()) return;
  RequestAnswer& answer = context.cluster.requests[event.request()];
  // An array's events all carry the request: its time is the first one's.
  if (answer.at_ms() == 0 && event.time_ms() != 0) {
    answer.set_at_ms(event.time_ms());
    context.cluster.requests_by_time.insert({event.time_ms(), event.request()});
  }
  answer.set_fingerprint(event.request_fingerprint());
  if (const uint64_t job = JobOf(event); job != 0) answer.add_jobs(job);
  context.names.insert({RecordKind::kRequest, event.request()});
}

absl::Status ApplyByKind(const EventContext& context) {
  switch (context.event.kind_case()) {
    case HistoryEvent::kEpochBegan:
      return ApplyEpochBegan(context);
    case HistoryEvent::kQuotaSet:
      return ApplyQuotaSet(context);
    case HistoryEvent::kJobSubmitted:
    case HistoryEvent::kJobHeld:
    case HistoryEvent::kJobReleased:
    case HistoryEvent::kCancelRequested:
    case HistoryEvent::kJobEnded:
    case HistoryEvent::kJobForgotten:
    case HistoryEvent::kJobRequeued:
      return ApplyJobEvent(context);
    case HistoryEvent::kAttemptPlaced:
    case HistoryEvent::kAttemptStarting:
    case HistoryEvent::kAttemptRunning:
    case HistoryEvent::kAttemptStopping:
    case HistoryEvent::kAttemptUnknown:
    case HistoryEvent::kAttemptFoundAgain:
    case HistoryEvent::kPartEnded:
    case HistoryEvent::kAttemptEnded:
    case HistoryEvent::kCheckpointPublished:
      return ApplyAttemptEvent(context);
    case HistoryEvent::kNodeJoined:
    case HistoryEvent::kNodeStateChanged:
    case HistoryEvent::kNodeDrained:
    case HistoryEvent::kNodeResumed:
    case HistoryEvent::kNodeSuspected:
    case HistoryEvent::kNodeRemoved:
      return ApplyNodeEvent(context);
    case HistoryEvent::kRequestsForgotten:
      return ApplyRequestsForgotten(context);
    case HistoryEvent::KIND_NOT_SET:
      break;
  }
  return absl::InternalError(
      fmt::format("event {} is of a kind that isn't known", context.event.sequence()));
}

}  // namespace

absl::StatusOr<Job*> LivingJob(uint64_t id, Cluster& cluster) {
  const auto found = cluster.jobs.find(id);
  if (found == cluster.jobs.end()) {
    return absl::InternalError(fmt::format("there is no job {}", id));
  }
  if (IsTerminal(found->second.state())) {
    return absl::InternalError(
        fmt::format("job {} is {} for good", id, JobState_Name(found->second.state())));
  }
  return &found->second;
}

absl::StatusOr<Job*> JobOfToken(const AttemptToken& token, Cluster& cluster) {
  TANREN_ASSIGN_OR_RETURN(Job * job, LivingJob(token.job(), cluster));
  if (!HoldsNodes(job->state()) || !(job->attempt().token() == token)) {
    return absl::InternalError(fmt::format(
        "{} is not an attempt that holds nodes: job {} is {}, its attempt {}", TokenText(token),
        job->id(), JobState_Name(job->state()), TokenText(job->attempt().token())));
  }
  return job;
}

absl::Status ApplyAndName(const HistoryEvent& event, Cluster& cluster,
                          std::set<RecordName>& names) {
  if (event.sequence() != cluster.last_sequence + 1) {
    return absl::InternalError(
        fmt::format("event {} doesn't follow event {}", event.sequence(), cluster.last_sequence));
  }
  const EventContext context = {event, cluster, names};
  TANREN_RETURN_IF_ERROR(ApplyByKind(context));
  RememberRequest(context);
  cluster.last_sequence = event.sequence();
  names.insert({RecordKind::kLedger, ""});
  return absl::OkStatus();
}

absl::Status Apply(const HistoryEvent& event, Cluster& cluster, std::vector<Record>* records) {
  std::set<RecordName> names;
  TANREN_RETURN_IF_ERROR(ApplyAndName(event, cluster, names));
  if (records == nullptr) return absl::OkStatus();
  for (const RecordName& name : names) records->push_back(MakeRecord(name, cluster));
  return absl::OkStatus();
}

}  // namespace tanren::coordinator
